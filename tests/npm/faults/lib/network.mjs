// What a tab's network is made to do by the browser itself: see https://chromedevtools.github.io/devtools-protocol.

const CLEAR = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };

/** `offline` stands in each rule or, for earlier versions of the protocol (that of Chromium 148), beside them. */
function byRule(tab, offline, matchedNetworkConditions) {
  return tab.cdp.send('Network.emulateNetworkConditionsByRule', { offline, matchedNetworkConditions });
}

/** No network, and the browser does not notice. */
export const BY_RULE = {
  cut: (tab) => byRule(tab, true, [{ urlPattern: '', ...CLEAR, offline: true }]),
  restore: (tab) => byRule(tab, false, []),
};

/** No network, and the browser says so. */
export const EMULATED = {
  cut: (tab) => tab.cdp.send('Network.emulateNetworkConditions', { ...CLEAR, offline: true }),
  restore: (tab) => tab.cdp.send('Network.emulateNetworkConditions', { ...CLEAR, offline: false }),
};

/** The browser says that there is a network or none, and nothing else happens. */
export function lie(tab, { offline }) {
  return tab.cdp.send('Network.overrideNetworkState', { ...CLEAR, offline });
}
