// Wrong answers, the worst first: of each ticked condition's first completed run.
const MOST_EXAMPLES = 6;

function drawExamples() {
  const { conditions, runs } = state.task;
  const splits = [...new Set(runs.flatMap((run) => Object.keys(run.wrong ?? {})))];
  at('examples').hidden = !splits.length;
  if (!splits.length) return;
  const chosen = splits.includes(at('examples-split').value) ? at('examples-split').value : splits[0];
  options(at('examples-split'), splits.map((split) => [split, split]), chosen);
  const found = [];
  for (const place of state.slots.keys()) {
    const number = conditions[place].runs.find((one) => isDrawn(one) && runs[one].wrong?.[chosen]);
    if (number !== undefined) found.push(wrongAnswers(`${conditions[place].label}: ${runs[number].name}`, runs[number].wrong[chosen], styleOf(place)));
  }
  const left = found.length - MOST_EXAMPLES;
  at('examples-tables').replaceChildren(...found.slice(0, MOST_EXAMPLES),
    ...(left > 0 ? [el('p', { class: 'muted' }, `${left} more are shown when fewer conditions are ticked.`)] : []));
}

function wrongAnswers(title, { columns, rows, media }, style) {
  const seen = media.some(Boolean);
  const head = el('tr', {}, seen ? el('th', { scope: 'col' }, 'example') : null, ...columns.map((name) => el('th', { scope: 'col' }, name)));
  const body = rows.map((cells, row) => el('tr', {}, seen ? el('td', {}, player(media[row], cells[0])) : null,
    ...cells.map((text) => el('td', { class: text.length > 24 ? 'long' : text.length < 13 ? 'short' : null }, text))));
  return el('figure', {}, el('figcaption', {}, swatch(style), el('h3', {}, title)),
    el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `wrong answers, ${title}` },
      el('table', { class: 'examples' }, el('thead', {}, head), el('tbody', {}, ...body))));
}

function player(address, name) {
  if (!address) return null;
  if (address.startsWith('data:audio/')) return el('audio', { controls: true, src: address, preload: 'none', 'aria-label': name });
  return el('img', { src: address, alt: name, loading: few() ? null : 'lazy' });
}

function drawAnswers() {
  drawConfusion();
  drawExamples();
}
