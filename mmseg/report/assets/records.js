// Where a run comes from.
function setUpRecords() {
  const { runs } = PANELS.records.content;
  let chosen = RUNS[0].id;
  const pick = choice('Run', RUNS.map((run) => [run.id, run.label]), chosen, (value) => { chosen = value; draw(); });
  const view = element('div');
  body('records').append(element('div', { class: 'controls' }, pick.node), view);

  function lines(title, found, nothing) {
    if (!found || !found.length) return [element('h3', null, title), element('p', { class: 'none' }, nothing)];
    const kinds = { '+': 'added', '-': 'dropped' };
    return [element('h3', null, title), element('pre', null, found.map((line) =>
      element('div', { class: kinds[line[0]] || null }, line)))];
  }

  function draw() {
    const run = runs[chosen];
    const environment = Object.entries(run.environment).map(([key, value]) => `${key}: ${value}`);
    const warnings = run.further_warnings ? [...run.warnings, `… and ${run.further_warnings} more`] : run.warnings;
    view.replaceChildren(element('p', null, element('strong', null, run.name), element('br'), run.folder),
      ...lines('Commands that repeat it', run.commands, ''),
      ...lines('Config against its base files', run.from_base, run.from_base ? 'no difference' : 'the base files are not known'),
      ...lines('Config against the first run', run.from_first, run.from_first ? 'no difference' : 'this is the first run'),
      ...lines('Environment', environment, 'not recorded'), ...lines('Warnings', warnings, 'none'));
  }
  draw();
}
