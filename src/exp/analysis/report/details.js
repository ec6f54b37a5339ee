// Verdicts, two runs side by side, confusion matrices.
const OPEN_UP_TO = 12;

function drawVerdicts() {
  const byState = new Map();
  state.task.runs.forEach((run, place) => {
    if (!isDrawn(place)) return;
    if (!byState.has(run.verdict.state)) byState.set(run.verdict.state, []);
    byState.get(run.verdict.state).push(run);
  });
  const blocks = Object.keys(DATA.states).filter((name) => byState.has(name)).map((name) => {
    const runs = byState.get(name);
    const block = el('details', { class: 'verdict', 'data-state': name },
      el('summary', {}, chip(name), ` ${runs.length} ${runs.length === 1 ? 'run' : 'runs'}`));
    const fill = () => { if (block.open && block.childElementCount === 1) block.append(...verdictText(name, runs)); };
    block.addEventListener('toggle', fill);
    block.open = DATA.states[name].broken && runs.length <= OPEN_UP_TO;
    fill();
    return block;
  });
  at('verdict-list').replaceChildren(...blocks);
}

function verdictText(name, runs) {
  const { remedies, broken } = DATA.states[name];
  const parts = [];
  if (remedies.length) parts.push(el('p', {}, `To try: ${remedies.join('; ')}.`));
  parts.push(el('ul', {}, ...runs.map((run) => {
    const { step, evidence, cost, last, best, metric } = run.verdict;
    const from = broken && step !== null ? ` from step ${step}` : '';
    const price = cost ? `The last checkpoint costs ${digits(cost)} ${metric} against the best (step ${best.step}, last step ${last.step}).` : '';
    return el('li', {}, el('b', {}, run.name), `${from}: ${evidence.join('; ')}. ${price}`);
  })));
  const caveats = [...new Set(runs.flatMap((run) => run.verdict.caveats))];
  if (caveats.length) parts.push(el('p', { class: 'muted' }, `Note: ${caveats.join('; ')}`));
  return parts;
}

function runOptions() {
  const pairs = state.task.runs.map((run, place) => [String(place), run.name]);
  for (const [which, id] of ['run-a', 'run-b'].entries()) {
    options(at(id), [['', NONE], ...pairs], String(state.picked[which] ?? ''));
  }
}

function drawDiff() {
  const runs = state.picked.map((place) => state.task.runs[place]);
  if (!runs.length) {
    at('diff-table').replaceChildren(el('p', { class: 'muted' }, 'Choose one or two runs here, or tick them in the table of runs.'));
    return;
  }
  const rows = [];
  const add = (key, ...values) => {
    const differ = values.some((value) => JSON.stringify(value) !== JSON.stringify(values[0]));
    if (differ || runs.length < 2 || !at('only-differing').checked) rows.push([key, values.map(shown), differ]);
  };
  const configs = runs.map((run) => ({ ...state.task.common, ...run.config }));
  const keys = [...new Set(configs.flatMap(Object.keys))].sort();
  for (const key of keys) add(key, ...configs.map((config) => config[key]));
  const changed = rows.filter(([, , differ]) => differ).length;
  for (const key of new Set(runs.flatMap((run) => Object.keys(run.facts)))) add(key, ...runs.map((run) => run.facts[key]));
  add('verdict', ...runs.map((run) => DATA.states[run.verdict.state].title));
  const titles = runs.length < 2 ? [runs[0].name] : runs.map((run, which) => `${'AB'[which]}: ${run.name}`);
  const head = el('thead', {}, el('tr', {}, ...['option or fact', ...titles].map((text) => el('th', { scope: 'col' }, text))));
  const body = el('tbody', {}, ...rows.map(([key, values, differ]) =>
    el('tr', { class: differ ? 'changed' : null }, el('th', { scope: 'row', class: 'mono' }, key), ...values.map((value) => el('td', {}, value)))));
  at('diff-table').replaceChildren(
    el('p', {}, runs.length < 2 ? `${keys.length} options.` : `${changed} of ${keys.length} options differ.`),
    ...runs.map(linksOf),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'options and facts' }, el('table', { class: 'diff' }, head, body)));
}

// To what the run left, where this page is read on the machine that has it.
function linksOf(run) {
  if (!run.source.startsWith('/')) return null;
  const link = (path, text) => el('a', { href: `file://${path.split('/').map(encodeURIComponent).join('/')}` }, text);
  return el('p', { class: 'links' }, el('b', {}, run.name), link(run.source, 'folder'), link(`${run.source}/train.log`, 'log'),
    link(`${run.source}/predictions`, 'predictions and errors'));
}

const MOST_MATRICES = 8;

function drawConfusion() {
  const { conditions, runs } = state.task;
  const splits = [...new Set(runs.flatMap((run) => Object.keys(run.confusion)))];
  at('confusion').hidden = !splits.length;
  if (!splits.length) return;
  const chosen = splits.includes(at('split').value) ? at('split').value : splits[0];
  options(at('split'), splits.map((split) => [split, split]), chosen);
  const matrices = [];
  state.picked.forEach((number, which) => {
    if (runs[number].confusion[chosen]) matrices.push(matrix(`${'AB'[which]}: ${runs[number].name}`, [runs[number].confusion[chosen]], null));
  });
  for (const place of state.slots.keys()) {
    const found = conditions[place].runs.filter((number) => isDrawn(number) && runs[number].status === 'completed')
      .map((number) => runs[number].confusion[chosen]).filter(Boolean);
    if (found.length) matrices.push(matrix(conditions[place].label, found, styleOf(place)));
  }
  const left = matrices.length - MOST_MATRICES;
  at('matrices').replaceChildren(...matrices.slice(0, MOST_MATRICES),
    ...(left > 0 ? [el('p', { class: 'muted' }, `${left} more are drawn when fewer conditions are ticked.`)] : []));
}

function matrix(title, found, style) {
  const { names } = found[0];
  const same = found.filter((one) => one.names.join('\n') === names.join('\n'));
  const counts = names.map((_, row) => names.map((_, column) => same.reduce((sum, one) => sum + one.counts[row][column], 0)));
  const rows = counts.map((row, place) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    return el('tr', {}, el('th', { scope: 'row', title: names[place] }, names[place]), ...row.map((count) => {
      const share = total ? count / total : 0;
      const cell = el('td', {}, String(count), el('small', {}, `${(100 * share).toFixed(0)}%`));
      cell.style.background = `rgba(${css('--heat')}, ${(0.05 + 0.4 * share).toFixed(3)})`;
      return cell;
    }));
  });
  const head = el('tr', {}, el('th', {}, 'label'), ...names.map((name) => el('th', { scope: 'col', title: name }, name)));
  const seeds = same.length > 1 ? ` (${same.length} runs)` : '';
  return el('figure', { tabindex: '0' }, el('figcaption', {}, style ? swatch(style) : null, el('h3', {}, title + seeds)),
    el('table', { class: 'matrix', 'aria-label': `confusion matrix, ${title}` }, el('thead', {}, head), el('tbody', {}, ...rows)));
}
