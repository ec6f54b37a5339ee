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
  const [a, b] = state.picked.map((place) => state.task.runs[place]);
  if (!a || !b) {
    at('diff-table').replaceChildren(el('p', { class: 'muted' }, 'Choose two runs here, or tick two in the table of runs.'));
    return;
  }
  const rows = [];
  const add = (key, left, right, title) => {
    const differ = JSON.stringify(left) !== JSON.stringify(right);
    if (differ || !at('only-differing').checked) rows.push([key, shown(left), shown(right), differ, title]);
  };
  const configs = [a, b].map((run) => ({ ...state.task.common, ...run.config }));
  const keys = [...new Set([...Object.keys(configs[0]), ...Object.keys(configs[1])])].sort();
  for (const key of keys) add(key, configs[0][key], configs[1][key]);
  const changed = rows.filter((row) => row[3]).length;
  for (const key of new Set([...Object.keys(a.facts), ...Object.keys(b.facts)])) add(key, a.facts[key], b.facts[key]);
  add('verdict', DATA.states[a.verdict.state].title, DATA.states[b.verdict.state].title);
  const head = el('thead', {}, el('tr', {}, ...['option or fact', `A: ${a.name}`, `B: ${b.name}`].map((text) => el('th', { scope: 'col' }, text))));
  const body = el('tbody', {}, ...rows.map(([key, left, right, differ]) =>
    el('tr', { class: differ ? 'changed' : null }, el('th', { scope: 'row', class: 'mono' }, key), el('td', {}, left), el('td', {}, right))));
  at('diff-table').replaceChildren(
    el('p', {}, `${changed} of ${keys.length} options differ.`),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-labelledby': 'diff-title' }, el('table', { class: 'diff' }, head, body)));
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
      cell.style.background = `rgba(${css('--heat')}, ${(0.06 + 0.6 * share).toFixed(3)})`;
      return cell;
    }));
  });
  const head = el('tr', {}, el('th', {}, 'label'), ...names.map((name) => el('th', { scope: 'col', title: name }, name)));
  const seeds = same.length > 1 ? ` (${same.length} runs)` : '';
  return el('figure', {}, el('figcaption', {}, style ? swatch(style) : null, el('h3', {}, title + seeds)),
    el('table', { class: 'matrix', 'aria-label': `confusion matrix, ${title}` }, el('thead', {}, head), el('tbody', {}, ...rows)));
}
