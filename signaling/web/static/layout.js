// Where tiles go: pure arithmetic, without the page.

export const GAP = 10;
const WIDEST = 16 / 9;
const NARROWEST = 4 / 3;
const NARROWEST_UPRIGHT = 3 / 4; // where a page is higher than wide, faces may be cropped more
const LEAST_WIDTH = 120;
const SCROLL_BAR = 14;

// The size of `n` equal tiles that fill a box best: {width, height, columns}. A tile is never wider
// than 16:9. Very many tiles keep a readable size and overflow downwards.
// `whole`: what the tiles show must not be cropped much.
export function fit(n, boxWidth, boxHeight, { whole = false } = {}) {
  const narrowest = whole || boxWidth > boxHeight ? NARROWEST : NARROWEST_UPRIGHT;
  let best = { width: 0, height: 0, columns: 1 };
  for (let columns = 1; columns <= n; columns++) {
    const rows = Math.ceil(n / columns);
    const size = shape(
      (boxWidth - GAP * (columns - 1)) / columns,
      (boxHeight - GAP * (rows - 1)) / rows,
      narrowest,
    );
    if (size.width * size.height > best.width * best.height) best = { ...size, columns };
  }
  if (best.width >= Math.min(LEAST_WIDTH, boxWidth)) return best;
  const room = boxWidth - SCROLL_BAR;
  const columns = Math.max(1, Math.floor((room + GAP) / (LEAST_WIDTH + GAP)));
  const width = Math.floor((room - GAP * (columns - 1)) / columns);
  return { width, height: Math.floor((width * 3) / 4), columns };
}

function shape(width, height, narrowest) {
  if (width <= 0 || height <= 0) return { width: 0, height: 0 };
  return {
    width: Math.floor(Math.min(width, height * WIDEST)),
    height: Math.floor(Math.min(height, width / narrowest)),
  };
}

// How a box is shared when screens are shown: they get most of it beside the people, or as much
// above them as screens of 4:3 need.
export function split(boxWidth, boxHeight) {
  if (boxWidth > boxHeight * 1.15) {
    const side = Math.max(LEAST_WIDTH + GAP, Math.round(boxWidth * 0.2));
    return {
      direction: 'row',
      screens: [boxWidth - side - GAP, boxHeight],
      people: [side, boxHeight],
    };
  }
  const above = Math.round(Math.min(0.6 * boxHeight, Math.max(0.35 * boxHeight, 0.75 * boxWidth)));
  return {
    direction: 'column',
    screens: [boxWidth, above],
    people: [boxWidth, boxHeight - above - GAP],
  };
}
