// Network conditions that the browser itself applies to a tab: see https://chromedevtools.github.io/devtools-protocol.

const CLEAR = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };

/** `offline` is part of each rule or, in earlier versions of the protocol (that of Chromium 148), next to the rules. */
function byRule(tab, offline, matchedNetworkConditions) {
  return tab.cdp.send('Network.emulateNetworkConditionsByRule', { offline, matchedNetworkConditions });
}

/** No network, without the browser noticing. */
export const BY_RULE = {
  cut: (tab) => byRule(tab, true, [{ urlPattern: '', ...CLEAR, offline: true }]),
  restore: (tab) => byRule(tab, false, []),
};

/** No network, and the browser reports it. */
export const EMULATED = {
  cut: (tab) => tab.cdp.send('Network.emulateNetworkConditions', { ...CLEAR, offline: true }),
  restore: (tab) => tab.cdp.send('Network.emulateNetworkConditions', { ...CLEAR, offline: false }),
};

/** The browser reports that the network is there or gone, and nothing else happens. */
export function lie(tab, { offline }) {
  return tab.cdp.send('Network.overrideNetworkState', { ...CLEAR, offline });
}
