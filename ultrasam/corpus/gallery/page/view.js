// Pictures with outlines over them, and the large view.
'use strict';

const View = (() => {
  const { el } = Gallery;
  const SVG = 'http://www.w3.org/2000/svg';
  // they differ to colour-blind eyes as well, on dark ultrasound (after Okabe and Ito 2008)
  const COLOURS = ['#56b4e9', '#e69f00', '#00be96', '#f0e442', '#cc79a7', '#d55e00', '#3c78e6'];
  let steps = null;

  function colour(number) {
    return COLOURS[number] || `hsl(${Math.round((number * 222.5) % 360)} 80% ${number % 2 ? 70 : 58}%)`;
  }

  function swatch(number) {
    const node = el('span', { class: 'swatch', 'aria-hidden': 'true' });
    node.style.background = colour(number);
    return node;
  }

  /** Outlines, in half pixels of the image; `marks` are {path, colour, dashed}. */
  function overlay([width, height], marks) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `-0.5 -0.5 ${2 * width} ${2 * height}`);
    svg.setAttribute('class', 'masks');
    svg.setAttribute('aria-hidden', 'true');
    for (const mark of marks) {
      if (!mark.path) continue;
      for (const kind of mark.dashed ? ['rim', 'line'] : ['rim', 'line', 'inside']) {
        const path = document.createElementNS(SVG, 'path');
        path.setAttribute('d', mark.path);
        path.setAttribute('class', mark.dashed ? `${kind} dashed` : kind);
        if (kind === 'line') path.setAttribute('stroke', mark.colour);
        if (kind === 'inside') path.setAttribute('fill', mark.colour);
        svg.append(path);
      }
    }
    return svg;
  }

  /**
   * A picture whose outlines come when they are there.
   * `picture` has size, alt, fault, sources (the first that loads is shown), and shapes(): a promise of marks.
   */
  function figure(picture, { isLarge = false } = {}) {
    const stage = el('span', { class: 'stage' });
    const [width, height] = picture.size;
    stage.style.setProperty('--ratio', String(width / height));
    stage.style.setProperty('--over', String(height / width));
    if (picture.fault) {
      stage.append(el('span', { class: 'fault', role: 'img', 'aria-label': `${picture.alt}: ${picture.fault}` },
        picture.fault));
      return stage;
    }
    const sources = [...picture.sources];
    const image = el('img', { src: sources.shift(), alt: picture.alt, width, height,
      loading: isLarge ? null : 'lazy', decoding: 'async' });
    image.addEventListener('error', () => {
      if (!sources.length) return;
      image.src = sources.shift();
      if (isLarge) stage.append(el('span', { class: 'hint' }, 'the image is not where it was: this is its thumbnail'));
    });
    stage.append(image);
    picture.shapes().then((marks) => stage.append(overlay(picture.size, marks))).catch(Gallery.fail);
    return stage;
  }

  function facts(rows) {
    return el('dl', {}, ...rows.filter(([, text]) => text !== '' && text !== undefined && text !== null)
      .flatMap(([name, text]) => [el('dt', {}, name), el('dd', {}, text)]));
  }

  /** A table; `numbers` are the places of the columns that hold numbers. */
  function table(head, rows, numbers) {
    const cell = (tag) => (content, place) => el(tag, { class: numbers.includes(place) ? 'number' : null }, content);
    return el('div', { class: 'scroll' }, el('table', {},
      el('thead', {}, el('tr', {}, ...head.map(cell('th')))),
      el('tbody', {}, ...rows.map((cells) => el('tr', {}, ...cells.map(cell('td')))))));
  }

  // ---- the large view ---------------------------------------------------------------------------------------------

  const dialog = () => document.getElementById('view');

  function isOpen() {
    return dialog().open;
  }

  /** Show `content` = {title, pictures: [[caption, figure]], details}, with steps to its neighbours. */
  function open(content, neighbours) {
    steps = null;
    const masks = el('input', { type: 'checkbox', id: 'view-masks',
      onchange: () => document.getElementById('masks').click() });
    masks.checked = !document.body.classList.contains('without-masks');
    const button = (name, label) => el('button', { type: 'button', 'data-step': name,
      disabled: !neighbours[name], onclick: () => step(name) }, label);
    const focused = dialog().contains(document.activeElement) ? document.activeElement.dataset.step : '';
    dialog().replaceChildren(
      el('header', {},
        el('h2', { id: 'view-title' }, content.title),
        el('div', { class: 'bar' },
          button('previous', '← previous'), el('span', {}, neighbours.place), button('next', 'next →'),
          el('label', { class: 'check' }, masks, ' masks'),
          el('button', { type: 'button', onclick: () => dialog().close() }, 'close'))),
      el('div', { class: 'pictures' }, ...content.pictures.map(([caption, node]) => el('figure', {},
        caption ? el('figcaption', {}, caption) : null, node))),
      el('div', { class: 'details' }, ...content.details));
    dialog().onclose = () => steps?.closed();
    steps = neighbours;
    if (!dialog().open) dialog().showModal();
    if (focused) dialog().querySelector(`[data-step=${focused}]`)?.focus();
  }

  function close() {
    if (dialog().open) dialog().close();
  }

  function showMasks(isOn) {
    const box = document.getElementById('view-masks');
    if (box) box.checked = isOn;
  }

  function step(name) {
    steps?.[name]?.();
  }

  return { colour, swatch, figure, facts, table, open, close, step, showMasks, isOpen };
})();
