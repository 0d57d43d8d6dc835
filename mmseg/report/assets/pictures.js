// Pictures: of the validation set with a divider between two runs, and of the training by step.
const ORDERS = {
  worst: ['worst of run A first', (a) => a],
  best: ['best of run A first', (a) => -a],
  change: ['most changed from A to B first', (a, b) => -Math.abs(b - a)],
};

function setUpImages() {
  const { images, legend } = PANELS.images.content;
  const ids = new Set(images.flatMap((image) => Object.keys(image.runs)));
  const options = runOptions(ids);
  const others = options.slice(1).sort((a, b) => compare(scoreOf(a[0]), scoreOf(b[0]), -1));
  let [left, right] = [options[0][0], (others[0] || options[0])[0]];
  let order = options.length > 1 ? 'change' : 'worst';
  let chosen = null;
  const strip = element('div', { class: 'strip' });
  const view = element('div', { class: 'figures-of' });
  const slider = element('input', { type: 'range', min: 0, max: 100, value: 50, 'aria-label': 'Divider between run A and run B',
    input: () => divide() });
  const pickA = choice('Run A (left)', options, left, (value) => { left = value; draw(); });
  const pickB = choice('Run B (right)', options, right, (value) => { right = value; draw(); });
  const pickOrder = choice('Order', Object.entries(ORDERS).map(([key, [text]]) => [key, text]), order, (value) => {
    order = value; chosen = null; draw(); });
  const classes = legend.map(({ name, colour: rgb }) => element('span', null, dot(`rgb(${rgb.join(',')})`), name));
  body('images').append(element('div', { class: 'controls' }, pickA.node, pickB.node, pickOrder.node), strip,
    element('div', { class: 'controls' }, element('label', null, 'A', slider, 'B')), view,
    element('div', { class: 'legend' }, classes),
    element('div', { class: 'legend' }, element('span', null, dot('rgb(204,51,17)'), 'wrong'),
      element('span', null, dot('rgb(214,217,222)'), 'right'), element('span', null, dot('rgb(90,90,90)'), 'without label'),
      element('span', null, 'entropy 0', element('span', { class: 'ramp' }), 'ln C')));

  function divide() {
    const at = Number(slider.value);
    for (const node of view.querySelectorAll('.divided')) {
      node.querySelector('.right').style.clipPath = `inset(0 0 0 ${at}%)`;
      node.querySelector('.bar').style.left = `calc(${at}% - 1px)`;
    }
  }

  function drag(event) {
    if (event.type === 'pointermove' && !event.buttons) return;
    const box = event.currentTarget.getBoundingClientRect();
    slider.value = String(100 * (event.clientX - box.left) / box.width);
    divide();
  }

  function single(title, src) {
    return element('figure', null, element('figcaption', null, title), src ? element('img', { src, alt: title, loading: 'lazy' })
      : element('p', { class: 'none' }, 'missing'));
  }

  function divided(title, what, a, b) {
    return element('figure', null, element('figcaption', null, title), element('div', { class: 'divided', pointerdown: drag, pointermove: drag },
      element('img', { src: a[what], alt: `${title}, run A`, draggable: 'false' }),
      element('img', { src: b[what], alt: `${title}, run B`, draggable: 'false', class: 'right' }),
      element('span', { class: 'bar' }), element('span', { class: 'tag', style: 'left:4px' }, 'A'),
      element('span', { class: 'tag', style: 'right:4px' }, 'B')));
  }

  function draw() {
    const listed = images.filter((image) => image.runs[left] && image.runs[right]).sort((one, other) => {
      const key = (image) => ORDERS[order][1](image.runs[left].mIoU, image.runs[right].mIoU);
      return key(one) - key(other);
    });
    if (!listed.includes(chosen)) chosen = listed[0] || null;
    strip.replaceChildren(...listed.map((image) => element('button', { type: 'button', title: image.name,
      'aria-pressed': String(image === chosen), click: () => { chosen = image; draw(); } },
    image.image ? element('img', { src: image.image, alt: '', loading: 'lazy' }) : image.name,
    `A ${percent(image.runs[left].mIoU)} · B ${percent(image.runs[right].mIoU)}`)));
    if (chosen === null) {
      view.replaceChildren(element('p', { class: 'none' }, 'these two runs have no image in common'));
      return;
    }
    const [a, b] = [chosen.runs[left], chosen.runs[right]];
    view.replaceChildren(single(`image ${chosen.name.split('/').pop()}`, chosen.image), single('truth', chosen.truth),
      divided(`prediction: mIoU A ${percent(a.mIoU)}, B ${percent(b.mIoU)}`, 'prediction', a, b),
      divided(`errors: right A ${percent(a.aAcc)}, B ${percent(b.aAcc)}`, 'error', a, b),
      divided(`entropy: mean A ${format(a.mean_entropy, 2)}, B ${format(b.mean_entropy, 2)} nats`, 'entropy', a, b));
    divide();
  }
  draw();
}

function percent(value) { return value === null ? '–' : `${(100 * value).toFixed(1)} %`; }

function setUpTraining() {
  const { pictures } = PANELS.training.content;
  const options = runOptions(new Set(pictures.map((picture) => String(picture.run))));
  let run = Number(options[options.length - 1][0]);
  let steps = [];
  const pick = choice('Run', options, run, (value) => { run = Number(value); choose(); });
  const slider = element('input', { type: 'range', min: 0, value: 0, 'aria-label': 'Step', input: () => draw() });
  const told = element('span', { class: 'step' });
  const view = element('div', { class: 'pair' });
  body('training').append(element('div', { class: 'controls' }, pick.node, element('label', null, 'Step', slider), told), view);
  function choose() {
    steps = [...new Set(pictures.filter((picture) => picture.run === run).map((picture) => picture.step))].sort((a, b) => a - b);
    slider.max = String(steps.length - 1);
    slider.disabled = steps.length < 2;
    slider.value = slider.max;
    draw();
  }
  function draw() {
    const step = steps[Number(slider.value)];
    told.textContent = `step ${step}, ${Number(slider.value) + 1} of ${steps.length}`;
    view.replaceChildren(...pictures.filter((picture) => picture.run === run && picture.step === step).map((picture) =>
      element('figure', null, element('img', { src: picture.src, alt: `training picture of step ${step}`, loading: 'lazy' }))));
  }
  choose();
}
