// One table of rows of text; columns sort, stay at the left or can be left out; rows are hidden by a filter or grouped.
function makeTable({ caption, pick, decorate, pinned, measure, ...whole }) {
  const { columns, rows } = arranged(whole, pinned);
  const body = el('tbody');
  const numeric = columns.map((column, place) => isNumeric(column, rows, place));
  const nodes = rows.map((row, place) => rowNode(row, place, columns, numeric, pick, decorate));
  const heads = columns.map((column, place) =>
    el('th', { scope: 'col', class: numeric[place] ? 'num' : null, title: column.key },
      el('button', { type: 'button', onclick: () => sort(place) }, column.title)));
  let sorted = { column: -1, up: false };
  let order = rows.map((_, place) => place);
  let kept = new Set(order);
  let groups = null; // {of, open, rows: name -> groupRow}

  function sort(column) {
    // Figures begin with the largest, words with a.
    const up = sorted.column === column ? !sorted.up : !numeric[column];
    sorted = { column, up };
    order.sort((a, b) => compareCells(rows[a].cells[column], rows[b].cells[column], numeric[column], up) || a - b);
    arrange();
    heads.forEach((head, place) => {
      if (place === column) head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      else head.removeAttribute('aria-sort');
    });
  }

  const members = (name) => order.filter((place) => groups.of[place] === name);

  function arrange() {
    show();
    if (!groups) {
      body.replaceChildren(...order.map((place) => nodes[place]));
      return;
    }
    const names = [...groups.rows.keys()];
    const mean = (name) => groups.rows.get(name).means[sorted.column]?.mean;
    // By the means of the column that sorts, where it has some.
    if (names.some((name) => Number.isFinite(mean(name)))) names.sort((a, b) => (sorted.up ? 1 : -1) * ((mean(a) ?? -Infinity) - (mean(b) ?? -Infinity)));
    body.replaceChildren(...names.flatMap((name) => [groups.rows.get(name).node, ...members(name).map((place) => nodes[place])]));
  }

  function show() {
    nodes.forEach((row, place) => { row.hidden = !kept.has(place) || Boolean(groups && !groups.open.has(groups.of[place])); });
    groups?.rows.forEach((row, name) => row.refresh(members(name).filter((place) => kept.has(place)), groups.open.has(name)));
  }

  const first = el('th', { scope: 'col', class: 'pick', 'aria-label': caption.pick, title: caption.pick });
  const node = el('table', { 'aria-label': caption.table }, el('thead', {}, el('tr', {}, first, ...heads)), body);
  const all = () => [...node.rows].map((row) => [...row.cells].slice(1));
  arrange();
  return {
    node,
    filter: (passes) => { kept = passes; show(); },
    redecorate: () => nodes.forEach((row, place) => decorate(row, place)),
    hide: (titles) => all().forEach((cells) => cells.forEach((cell, place) => { cell.hidden = titles.has(columns[place].title); })),
    shade: (on) => columns.forEach((column, place) => { if (column.kind === 'value') shadeColumn(nodes, rows, place, on); }),
    // `values`: one for each row; null: no groups.
    group(title, values, open, toggled) {
      const found = values && groupsOf(values);
      const toggle = (name) => { if (!open.delete(name)) open.add(name); show(); toggled(); };
      groups = found && { of: found.of, open, rows: new Map(found.names.map((name) => [name, groupRow(name, title, caption.table, columns, numeric, measure, toggle)])) };
      arrange();
    },
    // Pinned columns stand behind the first and stay at the left with it; their places are known once they are drawn.
    stick() {
      const cells = [...node.tHead.rows[0].cells].slice(1);
      let left = 0;
      columns.forEach((column, place) => {
        if (place && !pinned.has(column.title)) return;
        all().forEach((row) => { row[place].classList.add('pinned'); row[place].style.left = `${left}px`; });
        left += cells[place].getBoundingClientRect().width;
      });
    },
    csv: () => [node.tHead.rows[0], ...[...node.tBodies[0].rows].filter((row) => !row.hidden)]
      .map((row) => [...row.cells].slice(1).filter((cell) => !cell.hidden).map((cell) => csvCell(cell.textContent)).join(','))
      .join('\n'),
  };
}

// Pinned columns come first, behind the name of their row; on a narrow screen the numbers next.
function arranged({ columns, rows }, pinned) {
  const narrow = matchMedia('(max-width: 640px)').matches;
  const rank = (place) => (place === 0 ? 0 : pinned.has(columns[place].title) ? 1 : narrow && columns[place].kind === 'value' ? 2 : 3);
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
