// Random faults on sessions for a while: `cargo xtask soak`. Each round has a seed of its own, which is printed.

import { TEST_TIMEOUT } from '../lib/limits.mjs';
import { cutAtRandom, finished, openSessions, randomFrom, showAll } from './lib/sessions.mjs';
import { pause } from './lib/world.mjs';

const until = Date.now() + Number(process.env.STEADY_SOCKET_SOAK_SECONDS) * 1_000;
const first = Number(process.env.STEADY_SOCKET_SEED);
const CODECS = ['json', 'msgpack', 'text', 'bytes'];

const world = await openSessions('chromium');
try {
  let seed = first;
  do {
    const random = randomFrom(seed);
    const codec = CODECS[Math.floor(random() * CODECS.length)];
    const inWorker = random() < 0.5;
    const count = 500 + Math.floor(random() * 5_000);
    console.log(`seed ${seed}: ${count} messages in ${codec}, in a ${inWorker ? 'worker' : 'page'}`);
    const page = await world.openPage();
    const stop = cutAtRandom(world.proxy, random);
    await page.do('begin', { url: `${world.proxy.ws}/session/echo`, codec, count, inWorker });
    if (random() < 0.3) {
      await page.cdp.send('Page.setWebLifecycleState', { state: 'frozen' });
      await pause(random() * 2_000);
      await page.cdp.send('Page.setWebLifecycleState', { state: 'active' });
    }
    const now = await finished(page, TEST_TIMEOUT);
    await stop();
    showAll(now, count);
    console.log(`  ${now.resumed} resumes, ${now.replayedUp} with a replay up and ${now.replayedDown} down`);
    await page.page.close();
    seed += 1;
  } while (Date.now() < until);
} finally {
  await world.close();
}
