// The installed Firefox, driven by geckodriver over WebDriver.

import { spawn } from 'node:child_process';

import { required } from './environment.mjs';
import { TEST_TIMEOUT, within } from './limits.mjs';

/**
 * No network traffic of its own, and none of its delays (up to a minute) before the next connection to an address where
 * one has failed.
 */
const PREFERENCES = {
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.safebrowsing.provider.mozilla.updateURL': '',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.websocket.delay-failed-reconnects': false,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.enabled': false,
};

/**
 * Starts Firefox, headless and with a fresh profile.
 *
 * @param options.anyCertificate - whether to accept untrusted certificates
 * @returns its `name`; `goto`, `reload`, `evaluate` and `close`, as on a Playwright page; and `read`
 */
export async function launchFirefox({ anyCertificate = false } = {}) {
  const driver = spawn(required('GECKODRIVER'), ['--port', '0', '--binary', required('FIREFOX')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => {
    driver.once('exit', resolve);
  });
  const stop = async () => {
    driver.kill('SIGTERM');
    await ended;
  };
  try {
    const address = await within(listening(driver), 'the start of geckodriver');
    const { sessionId, capabilities } = await ask('POST', `${address}/session`, {
      capabilities: {
        alwaysMatch: {
          acceptInsecureCerts: anyCertificate,
          timeouts: { script: TEST_TIMEOUT },
          'moz:firefoxOptions': { args: ['-headless'], prefs: PREFERENCES },
        },
      },
    });
    const session = `${address}/session/${sessionId}`;
    const goto = (url) => ask('POST', `${session}/url`, { url });
    const execute = (script, ...args) => ask('POST', `${session}/execute/sync`, { script, args });
    return {
      goto,
      reload: () => ask('POST', `${session}/refresh`, {}),
      evaluate: (run, argument = null) => execute(`return (${run})(arguments[0]);`, argument),
      name: `Firefox ${capabilities.browserVersion}`,
      /** Opens a page, and returns the text of its body once that is marked as done. */
      async read(url, patience) {
        await goto(url);
        const deadline = Date.now() + patience;
        for (;;) {
          const text = await execute(
            'return document.body.dataset.done === undefined ? null : document.body.textContent',
          );
          if (text !== null) return text;
          if (Date.now() > deadline) throw new Error(`the page was not done within ${patience} ms: ${url}`);
          await new Promise((resolve) => {
            setTimeout(resolve, 200);
          });
        }
      },
      async close() {
        try {
          await ask('DELETE', session);
        } finally {
          await stop();
        }
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The address that the driver reports to listen on. */
function listening(driver) {
  return new Promise((resolve, reject) => {
    let said = '';
    driver.stdout.setEncoding('utf8');
    driver.stdout.on('data', (text) => {
      said = (said + text).slice(-10_000);
      const found = /Listening on ([\d.]+:\d+)/.exec(said);
      if (found) resolve(`http://${found[1]}`);
    });
    driver.once('error', reject);
    driver.once('exit', (code) => reject(new Error(`geckodriver ended with ${code}: ${said}`)));
  });
}

async function ask(method, url, body) {
  const headers = { 'Content-Type': 'application/json' };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const { value } = await response.json();
  if (!response.ok) throw new Error(`WebDriver: ${value?.error}: ${value?.message}`);
  return value;
}
