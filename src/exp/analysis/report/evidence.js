// Tables over examples, as they stand in the terminal, and the reliability picture.
function drawEvidence() {
  const tables = state.task.evidence;
  at('evidence').hidden = !tables.length;
  at('evidence-tables').replaceChildren(...tables.flatMap((table) => {
    const numeric = table.columns.map((column) => column.kind !== 'text');
    const head = el('tr', {}, ...table.columns.map((column, place) =>
      el('th', { scope: 'col', class: numeric[place] ? 'num' : null }, column.title)));
    const rows = table.rows.map((cells) => el('tr', {}, ...cells.map((text, place) =>
      el('td', { class: numeric[place] ? 'num' : 'long' }, text))));
    return [
      el('h3', {}, table.title),
      el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': table.title },
        el('table', {}, el('thead', {}, head), el('tbody', {}, ...rows))),
      el('ul', { class: 'notes' }, ...table.notes.map((note) => el('li', {}, note))),
    ];
  }), ...(state.task.reliability
    ? [el('img', { src: state.task.reliability, alt: 'Reliability: share of right answers by confidence', class: 'reliability' })]
    : []));
}
