// One table of rows of text; columns sort and can be left out, rows are hidden by a filter.
function makeTable({ caption, pick, decorate, ...whole }) {
  const { columns, rows } = arranged(whole);
  const body = el('tbody');
  const numeric = columns.map((column, place) => isNumeric(column, rows, place));
  const nodes = rows.map((row, place) => rowNode(row, place, columns, numeric, pick, decorate));
  let sorted = { column: -1, up: false };
  const heads = columns.map((column, place) =>
    el('th', { scope: 'col', class: numeric[place] ? 'num' : null, title: column.key },
      el('button', { type: 'button', onclick: () => sort(place) }, column.title)));
  body.append(...nodes);

  function sort(column) {
    // Figures begin with the largest, words with a.
    const up = sorted.column === column ? !sorted.up : !numeric[column];
    sorted = { column, up };
    const order = rows.map((_, place) => place);
    order.sort((a, b) => compareCells(rows[a].cells[column], rows[b].cells[column], numeric[column], up) || a - b);
    body.append(...order.map((place) => nodes[place]));
    heads.forEach((head, place) => {
      if (place === column) head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
  }

  const first = el('th', { scope: 'col', class: 'pick', 'aria-label': caption.pick, title: caption.pick });
  const node = el('table', { 'aria-label': caption.table }, el('thead', {}, el('tr', {}, first, ...heads)), body);
  return {
    node,
    filter: (kept) => nodes.forEach((row, place) => { row.hidden = !kept.has(place); }),
    redecorate: () => nodes.forEach((row, place) => decorate(row, place)),
    hide: (titles) => [heads, ...nodes.map((row) => [...row.cells].slice(1))].forEach((cells) =>
      cells.forEach((cell, place) => { cell.hidden = titles.has(columns[place].title); })),
    shade: (on) => columns.forEach((column, place) => { if (column.kind === 'value') shadeColumn(nodes, rows, place, on); }),
    csv: () => [node.tHead.rows[0], ...[...node.tBodies[0].rows].filter((row) => !row.hidden)]
      .map((row) => [...row.cells].slice(1).filter((cell) => !cell.hidden).map((cell) => csvCell(cell.textContent)).join(','))
      .join('\n'),
  };
}

// On a narrow screen the numbers come first, behind the name of their row.
function arranged({ columns, rows }) {
  if (!matchMedia('(max-width: 640px)').matches) return { columns, rows };
  const rank = (place) => (place === 0 ? 0 : columns[place].kind === 'value' ? 1 : 2);
  const order = columns.map((_, place) => place).sort((a, b) => rank(a) - rank(b) || a - b);
  return {
    columns: order.map((place) => columns[place]),
    rows: rows.map((row) => ({
      ...row, cells: order.map((place) => row.cells[place]),
      strong: row.strong && order.flatMap((place, now) => (row.strong.includes(place) ? [now] : [])),
    })),
  };
}

function shadeColumn(nodes, rows, place, on) {
  const values = rows.map((row) => numberOf(row.cells[place]));
  const known = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  nodes.forEach((row, number) => {
    const share = high > low ? (values[number] - low) / (high - low) : 0;
    row.cells[place + 1].style.background = on && Number.isFinite(share) ? `rgba(${css('--heat')}, ${(0.04 + 0.4 * share).toFixed(3)})` : '';
  });
}

// A spreadsheet would run a cell that begins with one of these signs, unless it is a number.
function csvCell(text) {
  const safe = /^[=+\-@\t]/.test(text) && !Number.isFinite(numberOf(text)) ? `'${text}` : text;
  return /[",\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}

function isNumeric(column, rows, place) {
  if (column.kind !== 'text') return column.kind === 'number' || column.kind === 'value';
  const cells = rows.map((row) => row.cells[place]).filter((cell) => cell !== NONE);
  return cells.length > 0 && cells.every((cell) => /^[+-]?[\d.]+(e[+-]?\d+)?$/i.test(cell));
}

function compareCells(a, b, numeric, up) {
  const sign = up ? 1 : -1;
  if (!numeric) return sign * a.localeCompare(b, undefined, { numeric: true });
  const [left, right] = [numberOf(a), numberOf(b)];
  if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right); // always last
  return sign * (left - right);
}

function rowNode(row, place, columns, numeric, pick, decorate) {
  const box = el('input', { type: 'checkbox', 'aria-label': pick.label(place), onchange: () => pick.toggle(place, box) });
  const cells = row.cells.map((text, column) => cellNode(text, columns[column], numeric[column], row, column));
  const node = el('tr', { class: row.baseline ? 'baseline' : null }, el('td', { class: 'pick' }, box), ...cells);
  decorate(node, place);
  return node;
}

function cellNode(text, column, numeric, row, place) {
  const strong = row.strong && row.strong.includes(place) ? ' strong' : '';
  if (column.kind === 'verdict') return el('td', {}, ...verdictParts(text, row));
  if (!numeric) {
    const mono = column.key === 'condition' && column.title === 'condition' && row.hash ? ' mono' : '';
    return el('td', { class: `long${mono}`, title: text.length > 40 ? text : null }, text);
  }
  const parts = /^(\S+)((?: ±| \[| @| to ).*)$/.exec(text);
  const inner = parts ? [el('b', {}, parts[1]), el('span', { class: 'muted' }, parts[2])] : [el('b', {}, text)];
  return el('td', { class: `num${strong}` }, ...inner);
}

function verdictParts(text, row) {
  const counts = new Map();
  for (const run of row.runs) counts.set(run.verdict.state, (counts.get(run.verdict.state) || 0) + 1);
  const parts = [];
  for (const name of Object.keys(DATA.states)) {
    if (!counts.has(name)) continue;
    if (parts.length) parts.push(', ');
    if (row.runs.length > 1) parts.push(`${counts.get(name)} `);
    parts.push(chip(name));
  }
  return parts.length ? parts : [text];
}
