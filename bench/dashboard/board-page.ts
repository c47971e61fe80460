/** A board's page in a Chromium of its own, and what is asked of it. Times are those of the machine's clock, which page, server and load share. */
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from '../../scripts/chromium.mjs';
import { TRACE_CATEGORIES } from './trace.ts';

/** Of everything that the page is waited for; far above all bars. */
const PATIENCE_MS = 30_000;

/**
 * In the page, before anything of its own. `moved`: the time of the first frame that shows the card under the status. `scroll`: through the
 * longest column for so long, a little each frame; the times between frames.
 */
const PROBE = `
globalThis.probe = {
  watch(id, status) {
    this.moved = new Promise((resolve, reject) => {
      const look = () => document.querySelector('[data-card="' + id + '"].board-card-' + status) !== null;
      const observer = new MutationObserver(() => {
        if (!look()) return;
        observer.disconnect();
        requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
      });
      observer.observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ['class', 'data-card'] });
      setTimeout(() => reject(new Error('no card ' + id + ' under ' + status)), ${PATIENCE_MS});
    });
    this.moved.catch(() => undefined);
  },
  scroll(forMs, pixels) {
    const columns = [...document.querySelectorAll('[data-card]')].map((card) => {
      let place = card.parentElement;
      while (place !== null && place.scrollHeight <= place.clientHeight + 1) place = place.parentElement;
      return place;
    });
    const column = columns.filter((one) => one !== null).sort((a, b) => b.scrollHeight - a.scrollHeight)[0];
    if (column === undefined) throw new Error('no column can be scrolled');
    return this.frames(forMs, () => { column.scrollTop += pixels; });
  },
  frames(forMs, act = () => undefined) {
    return new Promise((resolve) => {
      const deltas = [];
      let before = performance.now();
      const end = before + forMs;
      const step = () => {
        const now = performance.now();
        deltas.push(now - before);
        before = now;
        act();
        if (now < end) requestAnimationFrame(step);
        else resolve(deltas);
      };
      requestAnimationFrame(step);
    });
  },
};`;

export class BoardPage {
  readonly #browser: Browser;
  readonly #page: Page;

  private constructor(browser: Browser, page: Page) {
    this.#browser = browser;
    this.#page = page;
  }

  static async open(url: string, board: string, adminKey: string): Promise<BoardPage> {
    const browser = await launchChromium();
    try {
      const page = await browser.newPage({ baseURL: url, viewport: { width: 1280, height: 800 } });
      page.setDefaultTimeout(PATIENCE_MS);
      await page.addInitScript(
        `sessionStorage.setItem('lanekeeper.key', ${JSON.stringify(adminKey)});${PROBE}`,
      );
      await page.goto(`/boards/${board}`);
      const opened = new BoardPage(browser, page);
      await opened.untilConnection('live');
      return opened;
    } catch (error) {
      await browser.close();
      throw error;
    }
  }

  async untilConnection(state: 'live' | 'offline'): Promise<void> {
    await this.#page.locator(`[data-connection="${state}"]`).waitFor();
  }

  /** When the card that `act` moves is first seen where it then is, in ms since 1970. */
  async whenMoved(id: string, status: string, act: () => Promise<unknown>): Promise<number> {
    await this.#page.evaluate(`probe.watch(${JSON.stringify(id)}, ${JSON.stringify(status)})`);
    await act();
    return this.#page.evaluate<number>('probe.moved');
  }

  /** Times between frames, in ms. */
  scroll(forMs: number, pixels: number): Promise<readonly number[]> {
    return this.#page.evaluate<number[]>(`probe.scroll(${forMs}, ${pixels})`);
  }

  /** The same, while others do something. Without a page that asks for frames a trace has none. */
  frames(forMs: number): Promise<readonly number[]> {
    return this.#page.evaluate<number[]>(`probe.frames(${forMs})`);
  }

  async untilCard(id: string): Promise<void> {
    await this.#page.locator(`[data-card="${id}"]`).waitFor({ state: 'attached' });
  }

  /** Gone after a reload. */
  async mark(): Promise<void> {
    await this.#page.evaluate('globalThis.isMarked = true');
  }

  isMarked(): Promise<boolean> {
    return this.#page.evaluate<boolean>('globalThis.isMarked === true');
  }

  /** Chromium's trace of what happens while `act` runs. */
  async trace<T>(
    file: string,
    act: () => Promise<T>,
  ): Promise<{ readonly trace: string; readonly outcome: T }> {
    await this.#browser.startTracing(this.#page, { path: file, categories: TRACE_CATEGORIES });
    let outcome: T;
    try {
      outcome = await act();
    } finally {
      await this.#browser.stopTracing();
    }
    return { trace: await readFile(file, 'utf8'), outcome };
  }

  close(): Promise<void> {
    return this.#browser.close();
  }
}
