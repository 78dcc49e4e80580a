// Lets a test drive real browsers: JSON lines in on stdin, JSON lines out on stdout.
// in:  {id, op, ...arguments}    out: {id, result} | {id, error} | {page, console}
import { createInterface } from 'node:readline';
import puppeteer from 'puppeteer-core';

const CHROMIUM = {
  browser: 'chrome',
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    '--disable-features=WebRtcHideLocalIpsWithMdns',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--autoplay-policy=no-user-gesture-required',
  ],
};
const FIREFOX = {
  browser: 'firefox',
  executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
  extraPrefsFirefox: {
    'media.navigator.streams.fake': true,
    'media.navigator.permission.disabled': true,
    'media.autoplay.default': 0,
    'media.autoplay.blocking_policy': 0,
    'media.autoplay.block-webaudio': false,
    'media.cubeb.force_mock_context': true, // a machine without a sound card
    'media.peerconnection.ice.loopback': true,
    'media.peerconnection.ice.obfuscate_host_addresses': false,
    'network.captive-portal-service.enabled': false,
    'network.connectivity-service.enabled': false,
    'app.update.enabled': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    'browser.safebrowsing.downloads.remote.enabled': false,
    'dom.min_background_timeout_value': 4,
    'dom.timeout.enable_budget_timer_throttling': false,
    'widget.windows.window_occlusion_tracking.enabled': false,
  },
};

const browsers = new Map();
const pages = new Map();
let next = 0;

// Whoever asked is gone: the browsers go too.
process.stdout.on('error', () => process.exit(1));

function say(message) {
  process.stdout.write(JSON.stringify(message) + '\n');
}

function page(id) {
  const found = pages.get(id);
  if (!found) throw new Error(`no page ${id}`);
  return found;
}

const operations = {
  async launch({ browser, trusting }) {
    const settings = browser === 'firefox' ? FIREFOX : CHROMIUM;
    const launched = await puppeteer.launch({
      headless: true, protocolTimeout: 120000, acceptInsecureCerts: trusting, ...settings,
    });
    const id = ++next;
    browsers.set(id, launched);
    return id;
  },
  async open({ browser, url, width, height }) {
    const opened = await browsers.get(browser).newPage();
    const id = ++next;
    pages.set(id, opened);
    opened.on('console', (message) => say({ page: id, console: `${message.type()}: ${message.text()}` }));
    opened.on('pageerror', (error) => {
      // Firefox reports a WebSocket that does not connect among the exceptions.
      const kind = /can’t establish a connection/.test(error) ? 'error' : 'pageerror';
      say({ page: id, console: `${kind}: ${error}` });
    });
    if (width) await opened.setViewport({ width, height });
    await opened.goto(url, { waitUntil: 'load' });
    return id;
  },
  async evaluate({ page: id, script, argument }) {
    return await page(id).evaluate(
      async (source, value) => await (0, eval)(`(${source})`)(value), script, argument);
  },
  async screenshot({ page: id, path }) {
    await page(id).bringToFront();
    await page(id).screenshot({ path });
  },
  async accessibility({ page: id }) {
    return await page(id).accessibility.snapshot();
  },
  async resize({ page: id, width, height }) {
    await page(id).bringToFront(); // a tab in the background draws nothing and lays nothing out
    await page(id).setViewport({ width, height });
  },
  async close({ page: id }) {
    const closed = pages.get(id);
    pages.delete(id);
    await closed?.close();
  },
  async kill({ browser }) {
    const killed = browsers.get(browser);
    browsers.delete(browser);
    for (const [id, opened] of pages) if (opened.browser() === killed) pages.delete(id);
    // The whole group: without its children a browser goes on sending.
    const gone = new Promise((resolve) => killed.once('disconnected', resolve));
    process.kill(-killed.process().pid, 'SIGKILL');
    await gone;
  },
  async quit({ browser }) {
    await browsers.get(browser).close();
    browsers.delete(browser);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...parameters } = JSON.parse(line);
  operations[op](parameters).then(
    (result) => say({ id, result: result ?? null }),
    (error) => say({ id, error: String(error?.message ?? error) }));
}
await Promise.allSettled([...browsers.values()].map((browser) => browser.close()));
