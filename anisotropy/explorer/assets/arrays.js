// Arrays packed as base64, and small things that every part needs.

const ARRAY_TYPES = { u8: Uint8Array, u16: Uint16Array, i32: Int32Array, f32: Float32Array };

function unpacked(value) {
  if (Array.isArray(value)) return value.map(unpacked);
  if (value === null || typeof value !== "object") return value;
  if (typeof value.b === "string" && value.t in ARRAY_TYPES) {
    const bytes = Uint8Array.from(atob(value.b), (letter) => letter.charCodeAt(0));
    return new ARRAY_TYPES[value.t](bytes.buffer);
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, unpacked(part)]));
}

// Of elements with keys of their own: JupyterLab 4.0 looks at keys before they get here.
const OWN_KEYS = { "data-lm-suppress-shortcuts": "true" };

// An element with attributes and children. Texts become text nodes, never markup.
function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== "") made.append(child);
  }
  return made;
}

function fixed(value, digits = 3) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 1000 ? value.toFixed(1) : value.toFixed(digits);
  return text.replace("-", "−");
}

function whole(value) {
  return Number(value).toLocaleString("en-US");
}

function counted(number, one, many = `${one}s`) {
  return `${whole(number)} ${number === 1 ? one : many}`;
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
