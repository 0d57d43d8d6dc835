// IoU of each class by method or by run, with the change against one of them.
function setUpClasses() {
  const { classes, scores, shares } = PANELS.classes.content;
  const known = shares.some((share) => share !== null);
  let sort = [null, 1];
  let kind = METHODS.length < RUNS.length ? 'methods' : 'runs';
  let reference = null;
  const holder = element('div', { class: 'scroll' });
  const kinds = choice('Columns', [['methods', 'methods'], ['runs', 'runs']], kind, (value) => { kind = value; sort = [null, 1]; draw(); });
  const against = choice('Change against', [], null, (value) => { reference = value; draw(); });
  body('classes').append(element('div', { class: 'controls' }, kinds.node, against.node), holder);

  function columns() {
    const of = (runs) => classes.map((_, i) => mean(runs.map((run) => scores[run.id][i])));
    if (kind === 'runs') return shownRuns().map((run) => ({ key: `run${run.id}`, label: run.label, colour: run.colour, values: of([run]) }));
    return shownMethods().map((method) => {
      const runs = runsOf(method).filter(isShown);
      const finished = runs.filter((run) => run.state === 'finished');
      return { key: method, label: labelOf(method), colour: runs[0].colour, values: of(finished.length ? finished : runs) };
    });
  }

  function cell(value, base) {
    const style = value === null ? null : `background: rgba(var(--heat), ${(0.05 + 0.4 * value / 100).toFixed(3)})`;
    return element('td', { style }, format(value, 1), base === undefined ? null
      : sign(value === null || base === null ? null : value - base, 1));
  }

  function draw() {
    const shown = columns();
    fill(against.select, [['', 'nothing'], ...shown.map((column) => [column.key, column.label])],
      reference === null && shown.length ? shown[0].key : reference);
    const base = shown.find((column) => column.key === against.select.value);
    const value = (i) => sort[0] === 'name' ? classes[i] : sort[0] === 'share' ? shares[i]
      : (shown.find((column) => column.key === sort[0]) || { values: [] }).values[i];
    const order = classes.map((_, i) => i);
    if (sort[0] !== null) order.sort((a, b) => compare(value(a), value(b), sort[1]));
    const heading = (key, ...title) => element('th', { 'data-sort': key, 'aria-sort': ariaSort(key, sort), scope: 'col',
      ...pressed(sorter(key, sort, (next) => { sort = next; draw(); })) }, ...title);
    const cells = (i) => shown.map((column) => cell(column.values[i], base && column !== base ? base.values[i] : undefined));
    const row = (i) => element('tr', { 'data-class': classes[i] }, element('td', null, classes[i]),
      known ? element('td', { class: 'state' }, format(shares[i], 2)) : null, cells(i));
    const means = shown.map((column) => cell(mean(column.values), base && column !== base ? mean(base.values) : undefined));
    holder.replaceChildren(element('table', null, element('thead', null, element('tr', null, heading('name', 'Class'),
      known ? heading('share', 'Pixels (%)') : null, shown.map((column) => heading(column.key, dot(column.colour), breakable(column.label))))),
    element('tbody', null, order.map(row), element('tr', { class: 'mean' }, element('td', null, 'mean'),
      known ? element('td', null, '') : null, means))));
  }
  redraws.push(draw);
}
