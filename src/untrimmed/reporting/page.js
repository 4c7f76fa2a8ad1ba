"use strict";
// Draws the list of videos from the JSON in this page. All text is set as text, never as markup.
{
  const data = JSON.parse(document.getElementById("data").textContent);
  const state = { text: "", cls: "", sort: "name", cut: 0, least: -Infinity, loop: false };
  const rows = [];
  const SVG = "http://www.w3.org/2000/svg";
  const MOST_STACKED = 4;

  function make(tag, attributes = {}, ...children) {
    const element = tag === "svg" || tag === "path" ? document.createElementNS(SVG, tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (name.startsWith("--") || name === "left" || name === "width" || name === "top") element.style.setProperty(name, value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  }

  const clock = (t, digits = 0) => {
    const rounded = Number(Math.max(t, 0).toFixed(digits));
    const seconds = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
    const minutes = Math.floor(rounded / 60) % 60, hours = Math.floor(rounded / 3600);
    return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
  };
  const number = (x) => x.toLocaleString("en").replaceAll(",", "\u202f");
  const score = (x) => (Math.abs(x) >= 1000 || (x !== 0 && Math.abs(x) < 0.001) ? x.toExponential(1) : x.toFixed(3));
  const short = (x) => String(Number(x.toPrecision(3)));
  const many = (n, what) => `${number(n)} ${what}${n === 1 ? "" : "s"}`;
  const share = (t, video) => `${(100 * Math.max(t, 0)) / video.duration}%`;
  const overlap = (a, b) => {
    const inside = Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]));
    const all = a[1] - a[0] + (b[1] - b[0]) - inside;
    return all > 0 ? inside / all : 0;
  };
  const best = (segment, others) => others.reduce((top, other) => (other[2] === segment[2] ? Math.max(top, overlap(segment, other)) : top), 0);
  const fileName = (link) => {
    try {
      return decodeURIComponent(link);
    } catch {
      return link; // a name that is not Unicode
    }
  };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  // Scores have no common range, so the slider goes through their ranks: finer among the sure ones.
  const scores = data.videos.flatMap((video) => video.found.map((d) => d[3])).sort((a, b) => b - a);
  const STEPS = 200;
  const kept = (position) => Math.round(scores.length * (1 - position / STEPS) ** 2);
  const leastAt = (position) => (position <= 0 || !scores.length ? -Infinity : scores[Math.max(kept(position) - 1, 0)]);
  const highest = scores[Math.floor(scores.length * 0.02)] ?? 1, lowest = scores[Math.floor(scores.length * 0.9)] ?? 0;
  const opacity = (s) => (highest > lowest ? 0.18 + 0.82 * Math.min(1, Math.max(0, (s - lowest) / (highest - lowest))) : 1);
  // At first about five detections a video are shown, or as many as there is truth; the rest is one pull of the slider away.
  const enough = Math.max(5 * data.videos.length, data.videos.reduce((sum, video) => sum + video.truth.length, 0));
  while (state.cut < STEPS - 1 && kept(state.cut) > enough) state.cut++;
  state.least = leastAt(state.cut);

  class Row {
    constructor(video) {
      this.video = video;
      this.visible = this.dirty = false;
      this.strip = make("span", { class: "strip", "aria-hidden": "true" });
      this.tally = make("span", { class: "tally" });
      this.button = make(
        "button",
        { class: "row", type: "button", "aria-expanded": "false", onclick: () => this.toggle() },
        make("span", { class: "name" }, make("b", {}, video.id), make("span", {}, clock(video.duration))),
        this.strip,
        this.tally,
      );
      this.root = make("li", { class: "video" }, make("h3", {}, this.button));
      this.root.row = this;
      this.labels = new Set([...video.truth.map((s) => s[2]), ...video.found.map((d) => d[2])]);
    }

    get shown() {
      return this.video.found.filter((d) => d[3] >= state.least && (state.cls === "" || d[2] === Number(state.cls)));
    }

    missed() {
      const shown = this.shown;
      return this.video.truth.filter((s) => best(s, shown) < 0.5).length;
    }

    draw() {
      if (!this.visible) {
        this.dirty = true;
        return;
      }
      this.dirty = false;
      const { video, shown } = this;
      const mark = (segment, kind) =>
        make("i", { class: kind, left: share(segment[0], video), width: share(segment[1] - segment[0], video), "--h": data.hues[segment[2]] });
      const found = [...shown].reverse().map((d) => {
        const bar = mark(d, "found");
        bar.style.opacity = opacity(d[3]);
        return bar;
      });
      this.strip.replaceChildren(...video.truth.map((s) => mark(s, "truth")), ...found);
      const n = video.truth.length;
      this.tally.textContent = n ? `${n - this.missed()} of ${n} true found` : many(shown.length, "detection");
      this.tally.title = n ? "true segments that a shown detection of the same class overlaps by tIoU 0.5" : "";
      if (this.viewer) this.viewer.draw();
    }

    toggle(open = !this.viewer) {
      this.root.classList.toggle("open", open);
      this.button.setAttribute("aria-expanded", String(open));
      if (open && !this.viewer) {
        this.viewer = new Viewer(this);
        this.root.append(this.viewer.root);
        this.visible = true;
        this.draw();
      } else if (!open && this.viewer) {
        this.viewer.close();
        this.viewer.root.remove();
        this.viewer = null;
      }
    }
  }

  // An open video: the player, the detections as a list, and all lanes over one time axis.
  class Viewer {
    constructor(row) {
      this.row = row;
      this.video = row.video;
      this.at = 0;
      this.range = null; // the segment that is being played: {start, end, key}
      this.picks = make("ol");
      this.caption = make("h4");
      this.timeline = make("div", { class: "time" });
      this.readout = make("span", { class: "clock" });
      this.stage = make("div", { class: "stage" }, this.makePlayer(), make("div", { class: "picks" }, this.caption, this.picks));
      if (!data.hasVideos) this.stage.classList.add("alone");
      const legend = make(
        "div",
        { class: "legend" },
        data.hasTruth ? make("span", {}, make("i", { class: "t" }), "truth") : null,
        make("span", {}, make("i", { class: "f" }), "detection, the surer the fuller"),
        this.readout,
      );
      this.root = make("div", { class: "body" }, this.stage, this.timeline, legend);
      this.curve = this.video.curves ? this.video.curves.classes[0] : null;
      this.headLine = make("div", { class: "head-line" });
      this.hoverText = make("span");
      this.hoverLine = make("div", { class: "hover-line" }, this.hoverText);
      this.tick = this.tick.bind(this);
    }

    makePlayer() {
      if (!data.hasVideos) return null;
      const media = this.video.media;
      this.box = make("div", { class: "player" });
      if (!media) {
        this.trouble("No file of this video", "There was none with this name in the folder of videos when this page was written.");
        return this.box;
      }
      if (media.fault) {
        this.trouble("This file is not a video that can be read", `${media.fault}. The file: `, make("code", {}, fileName(media.link)));
        return this.box;
      }
      this.player = make("video", { controls: true, preload: "metadata", playsinline: true, "aria-label": `Video ${this.video.id}` });
      this.player.addEventListener("error", () => this.failed());
      this.player.addEventListener("play", () => {
        for (const row of rows) if (row.viewer && row.viewer !== this && row.viewer.player) row.viewer.player.pause();
        requestAnimationFrame(this.tick);
      });
      this.player.addEventListener("timeupdate", () => this.follow());
      this.player.addEventListener("seeking", () => {
        // A seek by the player's own controls leaves the segment.
        if (this.range && Math.abs(this.player.currentTime - this.range.start) > 0.25) this.range = null;
        this.follow();
      });
      this.player.src = media.link;
      this.box.append(this.player);
      return this.box;
    }

    failed() {
      const media = this.video.media;
      const name = fileName(media.link);
      if (media.plays) this.trouble("This video does not load", `The file is no longer at this place, or is damaged: `, make("code", {}, name));
      else
        this.trouble(
          "This browser does not play this video",
          `It is ${media.holds}. Written again with `,
          make("code", {}, "--proxies"),
          ", this page comes with a small copy that browsers play. The file: ",
          make("code", {}, name),
        );
      this.player = null;
    }

    trouble(title, ...text) {
      this.box.classList.add("broken");
      const old = this.box.querySelector(".trouble");
      if (old) old.remove();
      this.box.append(make("p", { class: "trouble", role: "status" }, make("b", {}, title), ...text));
    }

    close() {
      if (this.player) {
        this.player.pause();
        this.player.removeAttribute("src");
        this.player = null;
      }
    }

    // Go to a time and play from there; with an end, stop or loop at it.
    play(start, end = null, key = null) {
      this.range = end === null ? null : { start, end, key };
      this.at = start;
      if (this.player) {
        this.player.currentTime = start;
        this.player.play().catch(() => {}); // what cannot play has said so already
      }
      this.mark();
    }

    tick() {
      this.follow();
      if (this.player && !this.player.paused) requestAnimationFrame(this.tick);
    }

    follow() {
      if (!this.player) return;
      this.at = this.player.currentTime;
      if (this.range && !this.player.seeking && !this.player.paused && (this.at >= this.range.end || this.player.ended)) {
        if (state.loop) this.player.currentTime = this.range.start;
        else {
          this.range = null;
          this.player.pause();
        }
      }
      this.mark();
    }

    mark() {
      this.headLine.style.left = share(Math.min(Math.max(this.at, 0), this.video.duration), this.video);
      this.readout.textContent = `${clock(this.at, 1)} / ${clock(this.video.duration)}`;
      for (const element of this.root.querySelectorAll("[data-key]")) element.classList.toggle("on", this.range?.key === element.dataset.key);
    }

    bar(segment, kind, top) {
      const [start, end, label, sure] = segment;
      const found = kind === "found";
      let words = `${found ? "Detection" : "Truth"}: ${data.classes[label]}, ${clock(start, 2)} to ${clock(end, 2)}`;
      if (found) words += `, score ${score(sure)}`;
      if (found && this.video.truth.length) words += `, tIoU ${best(segment, this.video.truth).toFixed(2)} with the truth`;
      const see = found ? opacity(sure) : 1;
      return make(
        "button",
        {
          class: `bar ${found ? "found detection" : "truth"}${found && see < 0.6 ? " pale" : ""}`,
          type: "button",
          tabindex: "-1",
          title: words,
          "aria-label": words,
          "data-key": `${kind} ${segment}`,
          "data-start": start,
          "data-end": end,
          "data-score": sure,
          "data-label": data.classes[label],
          left: `min(${share(start, this.video)}, 100% - ${found ? 8 : 11}px)`, // the least width of a bar, at the end of a long video
          width: share(end - start, this.video),
          top: `${top}px`,
          "--h": data.hues[label],
          "--o": see.toFixed(3),
          onclick: (event) => {
            event.stopPropagation();
            this.play(start, end, `${kind} ${segment}`);
          },
        },
        found && ((end - start) / this.video.duration) * this.span > 40 ? score(sure) : null,
      );
    }

    draw() {
      const { video } = this;
      const shown = this.row.shown;
      this.span = this.timeline.clientWidth * 0.8; // pixels of the time axis, roughly: is there room for a number in a bar?
      this.caption.textContent = `${many(shown.length, "detection")}${video.more ? `; ${number(video.more)} less sure ones are left out of this page` : ""}`;
      const picks = shown.map((segment) => {
        const [start, end, label, sure] = segment;
        const key = `found ${segment}`;
        return make(
          "li",
          {},
          make(
            "button",
            { class: "pick", type: "button", "data-key": key, "aria-label": `Play ${data.classes[label]}, ${clock(start, 1)} to ${clock(end, 1)}, score ${score(sure)}`, onclick: () => this.play(start, end, key) },
            make("i", { class: "dab", "--h": data.hues[label] }),
            make("span", { class: "what" }, data.classes[label]),
            make("span", { class: "when" }, `${clock(start, 1)} – ${clock(end, 1)}`),
            make("span", { class: "how" }, score(sure)),
          ),
        );
      });
      this.picks.replaceChildren(...(picks.length ? picks : [make("li", { class: "none" }, video.found.length ? "None that the filter and the slider let through." : "Nothing was found in this video.")]));

      const lanes = [];
      const lane = (side, content, kind = "") => {
        const element = make("div", { class: `lane ${kind}`, onclick: (event) => this.play(this.timeOf(event)) }, ...content);
        lanes.push(make("div", { class: "side" }, ...side), element);
      };
      const labels = [...new Set([...video.truth.map((s) => s[2]), ...shown.map((d) => d[2])])].filter((c) => state.cls === "" || c === Number(state.cls));
      for (const label of labels) {
        const truth = video.truth.filter((s) => s[2] === label);
        const bars = truth.map((s) => this.bar(s, "truth", 0));
        const base = truth.length ? 12 : 0;
        const stacks = [];
        for (const d of shown.filter((d) => d[2] === label)) {
          let level = stacks.findIndex((stack) => stack.every((other) => overlap(d, other) === 0));
          if (level < 0) level = Math.min(stacks.length, MOST_STACKED - 1);
          (stacks[level] ??= []).push(d);
          bars.push(this.bar(d, "found", base + 20 * level));
        }
        bars.sort((a, b) => Number(a.dataset.start) - Number(b.dataset.start));
        const group = make("div", { class: "bars", role: "group", "aria-label": `${data.classes[label]}: arrow keys go from one to the next, Enter plays` }, ...bars);
        group.style.height = `${base + 20 * stacks.length}px`;
        group.addEventListener("keydown", (event) => this.walk(event, bars));
        if (bars.length) bars[0].tabIndex = 0;
        lane([make("i", { class: "dab", "--h": data.hues[label] }), make("b", {}, data.classes[label])], [group]);
      }
      if (!labels.length) lane([], [make("span", { class: "none" }, "Nothing to show on the time axis.")]);
      if (video.curves) this.drawCurves(lane);

      const axis = make("div", { class: "axis", onclick: (event) => this.play(this.timeOf(event)) });
      const most = window.innerWidth < 736 ? 4 : 9;
      const step = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200].find((s) => video.duration / s <= most) ?? video.duration / 6;
      for (let t = 0; t <= video.duration * 0.97; t += step)
        axis.append(make("span", { left: share(t, video) }, clock(t, step < 1 ? 1 : 0)), make("i", { left: share(t, video) }));
      const over = make("div", { class: "over" }, this.hoverLine, this.headLine);
      over.style.gridRow = `1 / span ${lanes.length / 2}`;
      lanes.forEach((element, i) => (element.style.gridRow = String(Math.floor(i / 2) + 1)));
      axis.style.gridRow = String(lanes.length / 2 + 1);
      this.timeline.replaceChildren(...lanes, axis, over);
      this.timeline.onmousemove = (event) => this.hover(event, over);
      this.timeline.onmouseleave = () => (this.hoverLine.style.display = "none");
      this.mark();
    }

    drawCurves(lane) {
      const { curves } = this.video;
      const names = Object.keys(curves.streams);
      const keys = () => names.map((name, i) => make("span", { class: "key" }, make("i", { class: `s${i % 4}` }), name));
      const plot = (packed, kind, words) => {
        const lines = packed.map((text, i) => (text === null ? null : make("path", { class: `s${i % 4}`, d: this.path(bytes(text)) })));
        return make("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": words, class: kind }, ...lines);
      };
      const bound = (text, where) => make("span", { class: `bound ${where}` }, text);
      const attention = names.map((name) => curves.streams[name].attention);
      if (attention.some((text) => text !== null))
        lane(
          [make("b", {}, "Attention"), make("br"), ...keys()],
          [plot(attention, "attention", "Attention over time"), bound(short(data.scale.attention), "top"), bound("0", "bottom")],
          "curve",
        );
      const place = Math.max(curves.classes.indexOf(this.curve), 0);
      const choice = make(
        "select",
        { "aria-label": "Class whose activation is drawn", onchange: (event) => ((this.curve = Number(event.target.value)), this.draw(), this.timeline.querySelector("select").focus()) },
        ...curves.classes.map((c) => make("option", { value: c, selected: c === curves.classes[place] }, data.classes[c])),
      );
      const bounds = names.map((name) => data.scale.logit[name]);
      lane(
        [make("b", {}, "Class activation"), choice],
        [
          plot(names.map((name) => curves.streams[name].logit[place]), "activation", `Class activation of ${data.classes[curves.classes[place]]} over time`),
          bound(bounds.map((b) => short(b[1])).join(" · "), "top"),
          bound(bounds.map((b) => short(b[0])).join(" · "), "bottom"),
        ],
        "curve",
      );
    }

    path(levels) {
      const { start, step } = this.video.curves;
      const points = Array.from(levels, (level, i) => {
        const x = (1000 * (start + (i + 0.5) * step)) / this.video.duration;
        return `${Math.min(Math.max(x, 0), 1000).toFixed(1)} ${(97 - (94 * level) / 255).toFixed(1)}`;
      });
      return points.length === 1 ? `M0 ${points[0].split(" ")[1]}H1000` : `M${points.join("L")}`;
    }

    timeOf(event) {
      const box = this.timeline.querySelector(".lane").getBoundingClientRect();
      return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1) * this.video.duration;
    }

    hover(event, over) {
      const box = over.getBoundingClientRect();
      const inside = (event.clientX - box.left) / box.width;
      this.hoverLine.style.display = inside >= 0 && inside <= 1 ? "block" : "none";
      this.hoverLine.style.left = `${100 * inside}%`;
      this.hoverLine.classList.toggle("left", inside > 0.85);
      this.hoverText.textContent = clock(inside * this.video.duration, 1);
    }

    walk(event, bars) {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const here = bars.indexOf(document.activeElement);
      if (!step || here < 0) return;
      event.preventDefault();
      const next = bars[Math.min(Math.max(here + step, 0), bars.length - 1)];
      bars[here].tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }
  }

  // One segment of a cluster, played over and over while it can be seen.
  const MOST_PLAYING = 12;
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");

  class Preview {
    constructor(segment) {
      const [place, start, end, label, sure] = segment;
      this.segment = segment;
      this.start = start;
      this.end = end;
      const video = data.videos[place];
      this.media = data.hasVideos && video.media && !video.media.fault ? video.media : null;
      this.seen = this.hovered = false;
      const mark = make("i", { left: share(start, video), width: share(end - start, video), "--h": data.hues[label] });
      const words = `${video.id}, ${clock(start, 1)} to ${clock(end, 1)}, score ${score(sure)}: show it among the videos below`;
      this.root = make(
        "button",
        { class: "preview", type: "button", title: words, "aria-label": words, onclick: () => this.open() },
        make("span", { class: "strip", "aria-hidden": "true" }, mark),
        make("span", { class: "where" }, make("span", {}, video.id), make("span", {}, `${clock(start, 1)} – ${clock(end, 1)}`)),
      );
      if (!this.media) return;
      this.player = make("video", { muted: true, playsinline: true, preload: "none", tabindex: "-1", "aria-hidden": "true" });
      this.player.muted = true; // the attribute alone does not count for an element made by a script
      this.player.addEventListener("loadedmetadata", () => (this.player.currentTime = this.start));
      this.player.addEventListener("ended", () => this.again());
      this.player.addEventListener("error", () => this.gone());
      this.root.prepend(this.player);
      for (const [name, on] of [["pointerenter", true], ["pointerleave", false], ["focus", true], ["blur", false]])
        this.root.addEventListener(name, () => ((this.hovered = on), playPreviews()));
    }

    load() {
      if (this.player && !this.player.hasAttribute("src")) {
        this.player.preload = "auto";
        this.player.src = this.media.link;
      }
    }

    unload() {
      if (!this.player || !this.player.hasAttribute("src")) return;
      this.player.pause();
      this.player.removeAttribute("src");
      this.player.load();
    }

    gone() {
      if (!this.player || !this.player.hasAttribute("src")) return;
      this.player.remove();
      this.player = null;
    }

    run(on) {
      if (!this.player) return;
      if (on) {
        this.load();
        if (this.player.paused) this.player.play().catch(() => {});
      } else this.player.pause();
    }

    again() {
      this.player.currentTime = this.start;
      if (this.player.paused) this.player.play().catch(() => {});
    }

    follow() {
      if (this.player && !this.player.paused && !this.player.seeking && (this.player.currentTime >= this.end || this.player.currentTime < this.start - 0.25)) this.again();
    }

    open() {
      const [place, start, end, label] = this.segment;
      const row = rows.find((row) => row.video === data.videos[place]);
      row.root.hidden = false;
      row.toggle(true);
      row.root.scrollIntoView({ block: "center" });
      row.viewer.play(start, end, `found ${row.video.found.find((d) => d[0] === start && d[1] === end && d[2] === label)}`);
      row.button.focus({ preventScroll: true });
    }
  }

  const previews = [];
  function playPreviews() {
    let playing = 0;
    for (const preview of previews) {
      const on = preview.player && (preview.hovered || (preview.seen && !still.matches && playing < MOST_PLAYING));
      if (on) playing++;
      preview.run(on);
    }
  }

  function followPreviews() {
    for (const preview of previews) preview.follow();
    requestAnimationFrame(followPreviews);
  }

  // What the names are saved as; `untrimmed names` writes the same.
  const quoted = (text) => {
    const safe = /^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const table = (rows) => rows.map((row) => `${row.map(quoted).join(",")}\n`).join("");

  function save(name, text) {
    const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  function showClusters() {
    const { list, assigned, noAction } = data.clusters;
    if (!list.length) return;
    let unsaved = false;
    const called = (input) => {
      const name = input.value.replace(/\p{Cc}/gu, " ").normalize("NFC").trim();
      return name === "-" || name === "?" ? "" : name;
    };
    const labelOf = (name) => (noAction.includes(name.toLowerCase()) ? "" : name);
    const inputs = list.map((cluster) => make("input", { type: "text", autocomplete: "off", spellcheck: "true", maxlength: 200, placeholder: "a name", "aria-label": `What happens in ${data.classes[cluster.label]}` }));
    const labelled = () => assigned.map(([video, k]) => [video, called(inputs[k])]).filter((row) => row[1] !== "").map(([video, name]) => [video, labelOf(name)]);
    const buttons = { "save-names": () => save("names.csv", table([["cluster", "name"], ...list.map((cluster, k) => [data.classes[cluster.label], called(inputs[k])])])), "save-labels": () => save("labels.csv", table([["video", "label"], ...labelled()])) };
    const say = () => {
      const done = inputs.filter((input) => called(input) !== "").length;
      const rows = labelled();
      const labels = new Set(rows.map((row) => row[1]).filter(Boolean)).size;
      document.getElementById("named").textContent = `${done} of ${many(list.length, "group")} named: ${many(labels, "label")} for ${number(rows.length)} of ${many(assigned.length, "training video")}`;
      document.getElementById("save-names").disabled = !done;
      document.getElementById("save-labels").disabled = !rows.length;
    };
    for (const [id, act] of Object.entries(buttons)) document.getElementById(id).addEventListener("click", () => (act(), (unsaved = false)));
    const names = make("datalist", { id: "given" });
    document.getElementById("cluster-list").append(
      ...list.map((cluster, k) => {
        const own = cluster.typical.map((segment) => new Preview(segment));
        previews.push(...own);
        inputs[k].setAttribute("list", "given");
        inputs[k].addEventListener("input", () => ((unsaved = true), say()));
        inputs[k].addEventListener("change", () => names.replaceChildren(...[...new Set(inputs.map(called))].filter(Boolean).map((value) => make("option", { value }))));
        return make(
          "li",
          { class: "cluster" },
          make(
            "div",
            { class: "cluster-head" },
            make("span", {}, make("i", { class: "dab", "--h": data.hues[cluster.label] }), make("b", {}, data.classes[cluster.label])),
            make("span", { class: "about" }, `${many(cluster.videos, "training video")}, ${many(cluster.found, "detection")}`),
            make("label", {}, make("span", {}, "What happens here?"), inputs[k]),
          ),
          own.length ? make("div", { class: "previews" }, ...own.map((preview) => preview.root)) : make("p", { class: "none" }, "No segment of this group is on the page."),
        );
      }),
    );
    document.getElementById("clusters").append(names);
    say();
    window.addEventListener("beforeunload", (event) => {
      if (unsaved) event.preventDefault();
    });
    const of = new Map(previews.map((preview) => [preview.root, preview]));
    // Files are opened as they come near, played while they are seen, and let go of far away.
    const near = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) isIntersecting ? of.get(target).load() : of.get(target).unload();
    }, { rootMargin: "500px" });
    const seen = new IntersectionObserver((entries) => {
      for (const { target, intersectionRatio } of entries) of.get(target).seen = intersectionRatio >= 0.5;
      playPreviews();
    }, { threshold: 0.5 });
    for (const preview of previews) {
      near.observe(preview.root);
      seen.observe(preview.root);
    }
    still.addEventListener("change", playPreviews);
    if (previews.some((preview) => preview.player)) requestAnimationFrame(followPreviews);
  }

  const list = document.getElementById("list");
  rows.push(...data.videos.map((video) => new Row(video)));
  // Rows far from the screen are only a line of text; their strips are drawn when they come near.
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        target.row.visible = isIntersecting || Boolean(target.row.viewer);
        if (target.row.visible && target.row.dirty) target.row.draw();
      }
    },
    { rootMargin: "600px" },
  );

  // What each order goes by, the highest first; by name where that is equal.
  const orders = {
    name: ["name", () => 0],
    score: ["surest detection", (row) => row.video.found[0]?.[3] ?? -Infinity],
    count: ["most detections", (row) => row.shown.length],
    length: ["longest", (row) => row.video.duration],
  };
  if (data.hasTruth) orders.missed = ["most true segments missed", (row) => row.missed()];
  const names = new Intl.Collator("en", { numeric: true });

  function arrange() {
    const words = state.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
    const spoken = (row) => `${row.video.id} ${[...row.labels].map((c) => data.classes[c]).join(" ")}`.toLocaleLowerCase();
    for (const row of rows) {
      const text = words.length ? spoken(row) : "";
      row.root.hidden = !(words.every((word) => text.includes(word)) && (state.cls === "" || row.labels.has(Number(state.cls))));
      if (row.root.hidden && row.viewer && row.viewer.player) row.viewer.player.pause();
    }
    const keys = new Map(rows.map((row) => [row, orders[state.sort][1](row)]));
    rows.sort((a, b) => (keys.get(a) === keys.get(b) ? names.compare(a.video.id, b.video.id) : keys.get(a) < keys.get(b) ? 1 : -1));
    // Moving an element stops its video, so the list is only touched when the order is another.
    if (rows.some((row, i) => list.children[i] !== row.root)) list.append(...rows.map((row) => row.root));
    refresh();
  }

  function refresh() {
    for (const row of rows) row.draw();
    const visible = rows.filter((row) => !row.root.hidden);
    const shown = visible.reduce((sum, row) => sum + row.shown.length, 0);
    document.getElementById("count").textContent =
      `${visible.length === rows.length ? many(rows.length, "video") : `${number(visible.length)} of ${many(rows.length, "video")}`}, ` +
      `${many(shown, "detection")} shown${data.hasTruth ? "; above each line the truth, below it what was found" : ""}`;
  }

  const least = make("output", { for: "slider" });
  const say = () => {
    least.textContent = state.least === -Infinity ? "all" : `≥ ${score(state.least)}`;
    slider.setAttribute("aria-valuetext", state.least === -Infinity ? "all detections" : `score at least ${score(state.least)}`);
  };
  const slider = make("input", {
    id: "slider", type: "range", min: 0, max: STEPS, step: 1, value: state.cut,
    oninput: (event) => {
      state.cut = Number(event.target.value);
      state.least = leastAt(state.cut);
      say();
      refresh();
    },
  });
  const used = [...new Set(rows.flatMap((row) => [...row.labels]))].sort((a, b) => a - b);
  const tools = [
    make("label", { class: "grow" }, "Find a video or class", make("input", { id: "filter", type: "search", placeholder: "name or class", autocomplete: "off", oninput: (event) => ((state.text = event.target.value), arrange()) })),
    make("label", {}, "Class", make("select", { id: "class", onchange: (event) => ((state.cls = event.target.value), arrange()) }, make("option", { value: "" }, "all classes"), ...used.map((c) => make("option", { value: c }, data.classes[c])))),
    make("label", {}, "First", make("select", { id: "sort", onchange: (event) => ((state.sort = event.target.value), arrange()) }, ...Object.entries(orders).map(([key, [words]]) => make("option", { value: key }, words)))),
    make("label", { class: "slide" }, make("span", {}, "Score ", least), slider),
    data.hasVideos ? make("label", { class: "tick" }, make("input", { id: "loop", type: "checkbox", onchange: (event) => (state.loop = event.target.checked) }), "loop") : null,
  ];
  document.getElementById("tools").append(...tools.filter(Boolean));
  let resized = 0;
  window.addEventListener("resize", () => {
    cancelAnimationFrame(resized);
    resized = requestAnimationFrame(refresh);
  });
  say();
  arrange();
  for (const row of rows) watch.observe(row.root);
  showClusters();
  // Where there are clusters to name, the page begins with those.
  if (!data.clusters.list.length) (rows.find((row) => row.shown.length) ?? rows[0])?.toggle(true);
}
