const FIRST_METRICS = 4;

function showTask(task) {
  state.task = task;
  state.picked = [];
  state.brushed = null;
  state.open.clear();
  state.slots.clear();
  ranges = new Map();
  // All of them where the colours suffice, else the best few before the rest in grey.
  const few = task.conditions.length <= 10 ? task.conditions.length : COLOURS;
  for (let place = 0; place < few; place += 1) colourIn(place);
  state.metrics = new Set(task.series.slice(0, FIRST_METRICS));
  const kinds = ['step', 'epoch', 'time'];
  if (task.runs.every((run) => run.tokens > 0)) kinds.push('tokens');
  if (!kinds.includes(state.x)) state.x = 'step';
  options(at('x'), kinds.map((kind) => [kind, kind]), state.x);
  at('metric-chooser').replaceChildren(...task.series.map(metricBox));
  for (const id of ['parallel-metric', 'scatter-metric']) options(at(id), task.metrics.map((key) => [key, key]), task.metrics.includes(task.metric) ? task.metric : task.metrics[0]);
  const notes = task.notes.map((note) => el('li', {}, note));
  at('notes').replaceChildren(notes.length > 4
    ? el('details', {}, el('summary', {}, `${notes.length} notes`), el('ul', { class: 'notes' }, ...notes))
    : el('ul', { class: 'notes' }, ...notes));
  const per = Math.max(...task.runs.flatMap((run) => Object.values(run.series).map((series) => series.per)), 1);
  at('curve-notes').textContent = [
    'Grey: conditions that are not ticked. Dotted: not every seed reaches these points.',
    per > 1 ? `A drawn point is the mean of up to ${per} logged ones.` : '',
    `Smoothing is an exponential moving average; curves of fewer than ${FEW} points stay as they are.`,
  ].filter(Boolean).join(' ');
  options(at('scatter-key'), task.keys.map(({ key, title }) => [key, title]), task.keys[0]?.key);
  state.opened = { conditions: [...state.slots.keys()].map((place) => task.conditions[place].id).join(), metrics: [...state.metrics].join() };
  makeTables();
  runOptions();
  makeCharts();
  drawLegend();
  drawDiff();
  drawEvidence();
  drawImportance();
  state.passing = { runs: new Set(), conditions: new Set() };
  applyFilter(true);
}

function metricBox(key) {
  const box = el('input', { type: 'checkbox', onchange: () => {
    if (box.checked) state.metrics.add(key);
    else state.metrics.delete(key);
    makeCharts();
    drawSoon();
  } });
  box.checked = state.metrics.has(key);
  return el('label', {}, box, key);
}

// Returns whether the condition is drawn in colour now.
function toggleCondition(place) {
  if (state.slots.has(place)) state.slots.delete(place);
  else if (!colourIn(place)) {
    at('status').textContent = `${MOST_COLOURED} conditions have colours already: take one out first`;
    return false;
  }
  tables.conditions.redecorate();
  drawLegend();
  drawAnswers();
  redraw();
  return state.slots.has(place);
}

function pickRun(place, on) {
  state.picked = state.picked.filter((number) => number !== place);
  if (on) state.picked = [...state.picked.slice(-1), place];
  afterPick();
}

function afterPick() {
  tables.runs.redecorate();
  runOptions();
  drawDiff();
  drawAnswers();
  redraw();
}

// The filter of the table in view and the ranges of the parallel coordinates, on everything below.
function applyFilter(parallelToo) {
  const { conditions, runs, columns, runColumns } = state.task;
  const kept = { conditions: null, runs: null };
  if (state.view === 'conditions') {
    kept.conditions = passing(state.filter, columns, conditions.map((condition) => condition.cells));
    kept.runs = new Set([...kept.conditions].flatMap((place) => conditions[place].runs));
  } else {
    kept.runs = passing(state.filter, runColumns, runs.map((run) => run.cells));
  }
  state.filtered = { runs: kept.runs };
  const before = state.passing.runs;
  const inside = new Set([...kept.runs].filter((place) => !state.brushed || state.brushed.has(place)));
  state.passing = { runs: inside, conditions: new Set([...inside].map((place) => runs[place].condition)) };
  tables.conditions.filter(state.passing.conditions);
  tables.runs.filter(inside);
  at('status').textContent = `${state.passing.conditions.size} of ${conditions.length} conditions, ${inside.size} of ${runs.length} runs`;
  if (before.size === inside.size && [...inside].every((place) => before.has(place))) return;
  drawVerdicts();
  drawAnswers();
  redraw();
  if (parallelToo) drawParallelSoon();
}


function listen() {
  at('task').addEventListener('change', () => showTask(DATA.tasks[Number(at('task').value)]));
  for (const view of ['conditions', 'runs']) {
    at(`view-${view}`).addEventListener('click', () => { showView(view); applyFilter(true); });
  }
  let waiting = 0;
  at('filter').addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { state.filter = at('filter').value; applyFilter(true); }, 120);
  });
  at('group').addEventListener('change', () => { state.group = at('group').value; state.open.clear(); showView(state.view); applyFilter(false); });
  at('x').addEventListener('change', () => { state.x = at('x').value; redraw(); });
  at('band').addEventListener('change', () => { state.band = at('band').value; redraw(); });
  at('smooth').addEventListener('input', () => {
    state.smooth = Number(at('smooth').value);
    at('smooth-value').textContent = String(state.smooth);
    redraw();
  });
  for (const name of ['logx', 'logy']) {
    at(name).addEventListener('change', () => { state[name] = at(name).checked; redraw(); });
  }
  for (const id of ['run-a', 'run-b']) {
    at(id).addEventListener('change', () => {
      const chosen = [at('run-a').value, at('run-b').value].filter((value) => value !== '').map(Number);
      state.picked = [...new Set(chosen)];
      afterPick();
    });
  }
  at('only-differing').addEventListener('change', drawDiff);
  at('split').addEventListener('change', drawConfusion);
  at('examples-split').addEventListener('change', drawExamples);
  at('parallel-metric').addEventListener('change', drawParallelSoon);
  for (const id of ['scatter-key', 'scatter-metric']) at(id).addEventListener('change', drawScatterSoon);
  at('shade').addEventListener('change', () => tables[state.view].shade(at('shade').checked));
  at('csv').addEventListener('click', () => download(`${state.task.name}-${state.view}.csv`, tables[state.view].csv()));
  window.addEventListener('beforeprint', drawAll);
  new ResizeObserver(() => tables[state.view]?.stick()).observe(at('table'));
  for (const kind of ['change', 'input', 'click']) document.addEventListener(kind, () => setTimeout(remember, 200));
  at('unbrush').addEventListener('click', unbrush);
  document.addEventListener('theme', () => { tables.conditions.redecorate(); drawLegend(); drawAnswers(); redraw(); drawParallelSoon(); });
}

// The library is large: the tables stand before it is compiled.
function loadCharts() {
  document.body.append(el('script', {}, at('library').textContent));
  drawSoon();
}

function begin() {
  const runs = DATA.tasks.reduce((sum, task) => sum + task.runs.length, 0);
  const many = (count, word) => `${count} ${word}${count === 1 ? '' : 's'}`;
  at('about').textContent = `${many(runs, 'run')} from ${DATA.sources.join(', ') || 'memory'}, ${DATA.created.replace('T', ' ').slice(0, 16)} UTC`;
  if (DATA.problems.length) {
    at('problems').replaceChildren(el('div', { class: 'notice' }, `${many(DATA.problems.length, 'source')} not counted:`,
      el('ul', {}, ...DATA.problems.slice(0, 20).map((problem) => el('li', {}, `${problem.source}: ${problem.why}`)))));
  }
  at('task-controls').hidden = DATA.tasks.length < 2;
  options(at('task'), DATA.tasks.map((task, place) => [String(place), task.name]), '0');
  const said = new URLSearchParams(location.hash.slice(1));
  const place = recallState(said);
  at('task').value = String(place);
  listen();
  showTask(DATA.tasks[place]);
  recallTask(said);
  requestAnimationFrame(() => setTimeout(loadCharts));
}

begin();
