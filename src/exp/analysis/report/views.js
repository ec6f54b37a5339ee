// The two tables of the page, by condition and by run: which columns they have, and how their rows are grouped.
const tables = {};

function makeTables() {
  const { conditions, runs, columns, runColumns } = state.task;
  tables.conditions = makeTable({
    columns,
    rows: conditions.map((condition) => ({ ...condition, hash: true, runs: condition.runs.map((number) => runs[number]) })),
    caption: { pick: 'draw its curves in colour', table: 'conditions' },
    pick: {
      label: (place) => `draw ${conditions[place].label} in colour`,
      toggle: (place, box) => { box.checked = toggleCondition(place); },
    },
    decorate: (row, place) => {
      const [cell] = row.cells;
      cell.firstChild.checked = state.slots.has(place);
      cell.replaceChildren(cell.firstChild, swatch(styleOf(place)));
    },
    pinned: state.pinned,
    measure: (column, place) => measured(column, conditions[place].runs),
  });
  tables.runs = makeTable({
    columns: runColumns,
    rows: runs.map((run) => ({ cells: run.cells, runs: [run] })),
    caption: { pick: 'set side by side', table: 'runs' },
    pick: { label: (place) => `set ${runs[place].name} side by side with another`, toggle: (place, box) => pickRun(place, box.checked) },
    decorate: (row, place) => {
      const which = state.picked.indexOf(place);
      const [cell] = row.cells;
      cell.firstChild.checked = which >= 0;
      cell.replaceChildren(cell.firstChild, ...(which >= 0 ? [el('b', {}, ` ${'AB'[which]}`)] : []));
    },
    pinned: state.pinned,
    measure: (column, place) => measured(column, [place]),
  });
  showView(state.view);
}

function columnBox(title) {
  const box = el('input', { type: 'checkbox', onchange: () => {
    if (box.checked) state.hidden.delete(title);
    else state.hidden.add(title);
    tables[state.view].hide(state.hidden);
    tables[state.view].stick();
  } });
  box.checked = !state.hidden.has(title);
  const pin = el('button', { type: 'button', class: 'pin', 'aria-pressed': String(state.pinned.has(title)), 'aria-label': `keep ${title} at the left`, onclick: () => {
    if (!state.pinned.delete(title)) state.pinned.add(title);
    makeTables();
    applyFilter(false);
    [...at('column-chooser').querySelectorAll('.pin')].find((one) => one.getAttribute('aria-label') === `keep ${title} at the left`)?.focus();
  } }, 'pin');
  return el('span', { class: 'column' }, el('label', {}, box, title), pin);
}

// What a row of `runs` has of a column of numbers: of its completed runs.
function measured(column, runs) {
  const done = runs.map((place) => state.task.runs[place]).filter((run) => run.status === 'completed');
  if (column.key.startsWith('best ')) return done.map((run) => run.best[column.key.slice(5)]);
  const at = state.task.runColumns.findIndex((one) => one.key === column.key);
  return column.key === 'seconds' ? done.map((run) => numberOf(run.cells[at])) : [];
}

// Key -> title and value of each row in view.
function groupings() {
  const { conditions, runs, groupKeys, metrics } = state.task;
  const rows = state.view === 'runs' ? runs.map((_, place) => [place]) : conditions.map((condition) => condition.runs);
  const found = new Map(groupKeys.map(({ key, title }) => [key, { title, of: ([first]) => runs[first].tuned[key] }]));
  const facts = { seed: (run) => run.seed ?? undefined, status: (run) => run.status, verdict: (run) => DATA.states[run.verdict.state].title };
  if (state.view === 'runs') for (const [name, of] of Object.entries(facts)) found.set(name, { title: name, of: ([first]) => of(runs[first]) });
  for (const key of metrics) found.set(`best ${key}`, { title: `best ${key}`, of: (places) => spread(measured({ key: `best ${key}` }, places))?.mean });
  return { rows, found };
}

function regroup() {
  const { rows, found } = groupings();
  const one = found.get(state.group);
  options(at('group'), [['', 'nothing'], ...[...found].map(([key, { title }]) => [key, title])], one ? state.group : '');
  tables[state.view].group(one?.title, one ? rows.map(one.of) : null, state.open, () => setTimeout(remember));
}

function download(name, text) {
  const link = el('a', { href: URL.createObjectURL(new Blob([text], { type: 'text/csv' })), download: name });
  link.click();
  URL.revokeObjectURL(link.href);
}

function showView(view) {
  state.view = view;
  for (const name of ['conditions', 'runs']) at(`view-${name}`).setAttribute('aria-pressed', String(name === view));
  at('table').replaceChildren(tables[view].node);
  const { columns, runColumns } = state.task;
  at('column-chooser').replaceChildren(...(view === 'runs' ? runColumns : columns).slice(1).map((column) => columnBox(column.title)));
  regroup();
  tables[view].hide(state.hidden);
  tables[view].stick();
  tables[view].shade(at('shade').checked);
}
