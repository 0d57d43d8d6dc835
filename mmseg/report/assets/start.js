// Unpacks Plotly, sets the panels up and draws them.
async function unpackPlotly() {
  const packed = atob(document.getElementById('plotly').textContent);
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

function useTheme(name) {
  document.documentElement.dataset.theme = name;
  document.getElementById('theme').textContent = name === 'dark' ? 'Light' : 'Dark';
}

const SET_UPS = { table: setUpTable, curves: setUpCurves, classes: setUpClasses, images: setUpImages, confusion: setUpConfusion,
  certainty: setUpCertainty, rare: setUpRare, training: setUpTraining, records: setUpRecords };

async function start() {
  useTheme(matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  document.getElementById('theme').addEventListener('click', () => {
    useTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
    redraw();
  });
  const input = document.getElementById('filter');
  input.addEventListener('input', () => { filter = input.value.trim().toLowerCase(); redraw(); });
  redraws.push(drawSwitches);
  await unpackPlotly();
  for (const panel of DATA.panels) {
    if (Object.keys(panel.content).length) SET_UPS[panel.id]();
    else body(panel.id).append(element('p', { class: 'none' }, 'Nothing to show: no run here has it.'));
  }
  redraw();
  document.documentElement.dataset.drawn = 'yes';
}

start();
