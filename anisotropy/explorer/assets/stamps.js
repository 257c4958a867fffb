// Markers as small masks that are blended into a buffer of pixels: 20,000 points a frame
// without a graphics card, the same everywhere.

const DOT = 1, TRIANGLE = 0; // the codes of documents and queries
const FINE = 4; // places between two pixels, each way, and samples a pixel

function insideMarker(shape, x, y, r) {
  if (shape === DOT) return x * x + y * y <= r * r;
  // A triangle that points up; its middle is that of its area.
  const top = -1.25 * r, bottom = 0.85 * r;
  return y >= top && y <= bottom && Math.abs(x) <= ((y - top) / (bottom - top)) * 1.2 * r;
}

function coverage(shape, px, py, ox, oy, r) {
  let inside = 0;
  for (let i = 0; i < FINE; i++) {
    for (let j = 0; j < FINE; j++) {
      const x = px + (i + 0.5) / FINE - ox, y = py + (j + 0.5) / FINE - oy;
      if (insideMarker(shape, x, y, r)) inside++;
    }
  }
  return Math.round((256 * inside) / (FINE * FINE));
}

// Masks of one shape, one for each place between pixels.
function makeStamps(shape, radius, rim, stride) {
  const reach = Math.ceil((radius + rim) * 1.3) + 1;
  const stamps = [];
  for (let place = 0; place < FINE * FINE; place++) {
    const ox = ((place % FINE) + 0.5) / FINE, oy = (Math.floor(place / FINE) + 0.5) / FINE;
    const offset = [], fill = [], edge = [];
    for (let y = -reach; y <= reach; y++) {
      for (let x = -reach; x <= reach; x++) {
        const outer = coverage(shape, x, y, ox, oy, radius + rim);
        if (!outer) continue;
        offset.push(y * stride + x);
        edge.push(outer);
        fill.push(Math.min(coverage(shape, x, y, ox, oy, radius), outer));
      }
    }
    stamps.push({ offset: Int32Array.from(offset), fill: Int32Array.from(fill), edge: Int32Array.from(edge) });
  }
  return { stamps, reach };
}

function rgb(color) {
  const number = parseInt(color.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

function pixel([r, g, b]) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
}

function blend(buffer, at, stamp, fill, rim, solid) {
  const { offset, fill: inner, edge } = stamp;
  for (let k = 0; k < offset.length; k++) {
    const index = at + offset[k], f = inner[k];
    if (f === 256) {
      buffer[index] = solid;
      continue;
    }
    const old = buffer[index], e = edge[k] - f, rest = 256 - edge[k];
    const r = ((old & 255) * rest + rim[0] * e + fill[0] * f) >> 8;
    const g = (((old >> 8) & 255) * rest + rim[1] * e + fill[1] * f) >> 8;
    const b = (((old >> 16) & 255) * rest + rim[2] * e + fill[2] * f) >> 8;
    buffer[index] = 0xff000000 | (b << 16) | (g << 8) | r;
  }
}
