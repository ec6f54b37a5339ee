const DATA = JSON.parse(document.getElementById('data').textContent);
const NONE = '–';
const DASHES = ['solid', 'dash', 'dot', 'dashdot'];
const SVG_DASHES = { solid: '', dash: '6 4', dot: '2 3', dashdot: '7 3 2 3' };
const COLOURS = 7; // in page.css
const MOST_COLOURED = COLOURS * DASHES.length;

const state = {
  task: DATA.tasks[0],
  view: 'conditions',
  filter: '',
  slots: new Map(), // condition -> its place among colours and dashes
  picked: [], // at most two runs
  hidden: new Set(), // titles of columns
  pinned: new Set(), // titles of columns that stay at the left
  group: '', // a key whose values the rows are grouped by
  open: new Set(), // names of its groups whose rows are shown
  opened: { conditions: '', metrics: '' }, // what is drawn before anybody has chosen
  brushed: null, // runs that the ranges of the parallel coordinates keep; null: all
  metrics: new Set(),
  x: 'step',
  band: 'range',
  smooth: 0,
  logy: false,
  logx: false,
  passing: { conditions: new Set(), runs: new Set() },
};

// So few that everything is drawn at once, also what is out of sight: a page on paper, or a picture of it, is whole.
const few = () => state.task.runs.length <= 200;

const at = (id) => document.getElementById(id);

// Text always enters as text nodes: a run may be named <script>.
function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// Plotly reads a little HTML (bold, links) in its texts.
const plotText = (text) =>
  String(text).replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

const short = (text, length = 48) => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);

function shown(value) {
  if (value === null || value === undefined) return value === null ? 'null' : NONE;
  // 2.06e-5 rather than JavaScript's 0.0000206, as everywhere else.
  if (typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3) return Number(value.toPrecision(6)).toExponential();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const digits = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : NONE);

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function styleOf(condition) {
  const slot = state.slots.get(condition);
  if (slot === undefined) return null;
  const colours = css('--series').split(/\s+/);
  return { color: colours[slot % COLOURS], dash: DASHES[Math.floor(slot / COLOURS)] };
}

function colourIn(condition) {
  const taken = new Set(state.slots.values());
  for (let slot = 0; slot < MOST_COLOURED; slot += 1) {
    if (!taken.has(slot)) {
      state.slots.set(condition, slot);
      return true;
    }
  }
  return false;
}

function translucent(hex, alpha) {
  const [r, g, b] = [1, 3, 5].map((place) => parseInt(hex.slice(place, place + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

function swatch(style) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const line = document.createElementNS('http://www.w3.org/2000/svg', 'line');
  svg.setAttribute('class', 'swatch');
  svg.setAttribute('aria-hidden', 'true');
  const parts = { x1: 1, x2: 25, y1: 5, y2: 5, stroke: style ? style.color : 'transparent', 'stroke-width': 3 };
  for (const [name, value] of Object.entries(parts)) line.setAttribute(name, value);
  if (style) line.setAttribute('stroke-dasharray', SVG_DASHES[style.dash]);
  svg.append(line);
  return svg;
}

// Not by colour alone: a sign and the word.
function chip(name) {
  const found = DATA.states[name];
  const kind = found.broken ? 'bad' : name === 'healthy' || name === 'converged' ? 'good' : 'plain';
  const sign = { bad: '▲', good: '●', plain: '○' }[kind];
  return el('span', { class: `chip ${kind}` }, el('span', { 'aria-hidden': 'true' }, sign), found.title);
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => el('option', { value }, text)));
  select.value = chosen;
}
