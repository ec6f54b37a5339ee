// Rows of a table put together by one key: by its values, or by ranges of a number that has many.
const MOST_VALUES = 8;
const RANGES = 4; // with about equally many rows

// Values of the rows -> {names: of the groups, in order; of: each row's}
function groupsOf(values) {
  const known = values.filter((value) => value !== undefined && !Number.isNaN(value));
  const numeric = known.length > 0 && known.every((value) => typeof value === 'number');
  const distinct = [...new Set(known)];
  if (numeric) distinct.sort((a, b) => a - b);
  const name = numeric && distinct.length > MOST_VALUES ? rangeNames(known) : shown;
  const of = values.map((value) => (value === undefined || Number.isNaN(value) ? NONE : name(value)));
  const there = numeric ? [...new Set(distinct.map(name))]
    : [...new Set(distinct.map(name))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  return { names: of.includes(NONE) ? [...there, NONE] : there, of };
}

function rangeNames(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const tops = Array.from({ length: RANGES }, (_, place) => sorted[Math.ceil(((place + 1) * sorted.length) / RANGES) - 1]);
  const parts = [...new Set(tops)].map((top) => sorted.filter((value) => value <= top && !tops.some((other) => other < top && value <= other)));
  return (value) => {
    const part = parts.find((one) => value <= one[one.length - 1]);
    return part[0] === part[part.length - 1] ? digits(part[0]) : `${digits(part[0])} to ${digits(part[part.length - 1])}`;
  };
}

// What a group's row says of its numbers.
function spread(values) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return null;
  const mean = known.reduce((sum, one) => sum + one, 0) / known.length;
  const squares = known.reduce((sum, one) => sum + (one - mean) ** 2, 0);
  return { mean, std: known.length > 1 ? Math.sqrt(squares / (known.length - 1)) : NaN, n: known.length };
}

// A row above those of its group, which it shows and hides. `measure(column, place)`: numbers of a row's runs.
function groupRow(name, title, what, columns, numeric, measure, toggle) {
  const count = el('span', { class: 'muted' });
  const button = el('button', { type: 'button', 'aria-expanded': 'false', onclick: () => toggle(name) }, `${title} = ${short(name, 40)}`);
  const cells = columns.slice(1).map((_, at) => el('td', { class: numeric[at + 1] ? 'num' : null }));
  const node = el('tr', { class: 'grouped' }, el('td', { class: 'pick' }), el('th', { scope: 'row' }, button, count), ...cells);
  return {
    node,
    means: [],
    refresh(places, open) {
      node.hidden = !places.length;
      button.setAttribute('aria-expanded', String(open));
      count.textContent = ` ${places.length} ${places.length === 1 ? what.replace(/s$/, '') : what}`;
      this.means = columns.map((column) => spread(places.flatMap((place) => measure(column, place))));
      cells.forEach((cell, at) => {
        const found = this.means[at + 1];
        if (!found) { cell.replaceChildren(); return; }
        cell.title = `mean of ${found.n} completed ${found.n === 1 ? 'run' : 'runs'}${found.n > 1 ? ', ± standard deviation' : ''}`;
        cell.replaceChildren(el('b', {}, digits(found.mean)), el('span', { class: 'muted' }, `${found.n > 1 ? ` ± ${Number(found.std.toPrecision(2))}` : ''} n=${found.n}`));
      });
    },
  };
}
