/** One cluster on the page: its name, its surest segments, its videos, and what can be done with it. */

import { data, placeOf } from "./data.js";
import { make } from "./dom.js";
import { many } from "./format.js";
import { groups } from "./groups.js";
import { showSegment } from "./list.js";
import { lookOf } from "./look.js";
import { Preview } from "./previews.js";

/** @typedef {import("./data.js").Typical} Typical */

/** Milliseconds after the last letter until a name is kept. */
const NAMED_AFTER = 800;

const VOTES_MEAN =
  "of the stretches in other videos that look like this cluster's, so many are of this cluster themselves";
const videoNamed = new Map(data.videos.map((video) => [video.id, video]));

/** @param {number} value */
function percent(value) {
  return `${Math.round(100 * value)} %`;
}

/** @param {string} id */
function calledNow(id) {
  const { name } = groups.of(id);
  return name ? `${id} · ${name}` : id;
}

export class GroupCard {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /** @type {Preview[]} */
    this.previews = [];
    this.shown = "";
    this.field = this.makeField();
    this.heading = make(
      "h3",
      { tabindex: "-1" },
      make("i", { class: "dab", ...lookOf(placeOf(id)) }),
      make("b", {}, id),
    );
    this.about = make("span", { class: "about" });
    this.into = make("select", {
      class: "into",
      "aria-label": `Merge ${id} into`,
      title: "put all its videos into another (key M)",
    });
    this.into.addEventListener("change", () => this.merge());
    this.rejecting = make(
      "button",
      { type: "button", title: "no group at all: its videos get no label (key X)" },
      "reject",
    );
    this.rejecting.addEventListener("click", () => groups.reject(id));
    this.trouble = make("span", { class: "trouble-text", role: "status" });
    this.members = make("ul");
    /** @type {HTMLSelectElement | null} */
    this.moveTo = null;
    this.summary = make("summary");
    this.folded = make("details", { class: "members", ontoggle: () => this.drawMembers() }, this.summary, this.members);
    const tools = [...(data.several ? [] : [this.into, this.makeSplit()]), this.rejecting, this.trouble];
    this.strips = make("div", { class: "previews" });
    const asks = make("label", {}, make("span", {}, "What happens here?"), this.field);
    this.root = make(
      "li",
      { class: "cluster", "data-cluster": id },
      make("div", { class: "cluster-head" }, this.heading, this.about, asks),
      make("div", { class: "cluster-tools", role: "group", "aria-label": `Change ${id}` }, ...tools),
      this.strips,
      this.folded,
    );
    if (!data.several) this.takeDrops();
  }

  makeField() {
    const field = make("input", {
      type: "text",
      autocomplete: "off",
      spellcheck: "true",
      maxlength: 200,
      placeholder: "a name",
      list: "given",
      "aria-label": `What happens in ${this.id}`,
    });
    let waiting = 0;
    const keepName = () => {
      clearTimeout(waiting);
      groups.rename(this.id, this.name);
    };
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(keepName, NAMED_AFTER);
    });
    field.addEventListener("change", keepName);
    return field;
  }

  makeSplit() {
    const words = data.review?.splits
      ? "the videos that are ticked, or else those that look different, become a cluster of their own (key S)"
      : "the videos that are ticked become a cluster of their own (key S)";
    return make("button", { type: "button", title: words, onclick: () => this.split() }, "split");
  }

  /** The name in the field, or "" for none. */
  get name() {
    const name = this.field.value
      .replace(/\p{Cc}/gu, " ")
      .normalize("NFC")
      .trim();
    return name === "-" || name === "?" ? "" : name;
  }

  focus() {
    this.heading.focus();
    this.root.scrollIntoView({ block: "nearest" });
  }

  close() {
    for (const preview of this.previews) preview.close();
    this.root.remove();
  }

  /** Draw what is known of it now. */
  draw() {
    const { id } = this;
    const { name, rejected } = groups.of(id);
    const members = groups.members(id);
    if (document.activeElement !== this.field) this.field.value = name;
    this.root.classList.toggle("rejected", rejected);
    this.rejecting.setAttribute("aria-pressed", String(rejected));
    const detected = data.clusters.find(({ label }) => data.classes[label] === id)?.detections;
    const sure = groups.sure?.clusters[id]?.agreement;
    const words = [many(members.length, "training video")];
    if (detected !== undefined) words.push(many(detected, "detection"));
    if (rejected) words.push("rejected");
    this.about.replaceChildren(words.join(", "));
    if (typeof sure === "number") {
      this.about.append(
        " · ",
        make("span", { class: "sure", title: VOTES_MEAN }, `${percent(sure)} of the votes agree`),
      );
    }
    const others = groups.ids.filter((other) => other !== id && groups.members(other).length);
    const options = others.map((other) => make("option", { value: other }, calledNow(other)));
    this.into.replaceChildren(make("option", { value: "" }, "merge into …"), ...options);
    this.into.disabled = !members.length || !others.length;
    this.summary.textContent = many(members.length, "video");
    this.drawPreviews();
    this.drawMembers();
  }

  /** Its surest stretches by the votes; as long as nobody has voted, its surest detections. */
  drawPreviews() {
    const typical = this.typical();
    const shown = JSON.stringify(typical.map(({ video, segment }) => [video.id, segment.start, segment.end]));
    if (shown === this.shown) return;
    this.shown = shown;
    for (const preview of this.previews) preview.close();
    this.previews = typical.map((one) => new Preview(one, () => showSegment(one.video, one.segment)));
    const none = make("p", { class: "none" }, "No segment of this group is on the page.");
    this.strips.replaceChildren(...(typical.length ? this.previews.map(({ root }) => root) : [none]));
  }

  /** @returns {Typical[]} */
  typical() {
    const surest = groups.sure?.clusters[this.id]?.surest;
    if (!surest) {
      const found = data.clusters.find(({ label }) => data.classes[label] === this.id)?.typical ?? [];
      return found.filter(({ video }) => data.several || (groups.videos.get(video.id) ?? this.id) === this.id);
    }
    return surest.video.flatMap((id, i) => {
      const video = videoNamed.get(id);
      const [start, end, score] = [surest.start[i], surest.end[i], surest.score[i]];
      return video ? [{ video, segment: { start, end, score, label: placeOf(this.id), right: null } }] : [];
    });
  }

  /** The videos, the least sure first; drawn only when they are looked at. */
  drawMembers() {
    if (!this.folded.open) {
      this.members.replaceChildren();
      this.folded.querySelector(".move")?.remove();
      return;
    }
    const chosen = new Set(this.chosen());
    const { activeElement } = document;
    const at =
      activeElement instanceof HTMLInputElement && this.members.contains(activeElement) ? activeElement.value : null;
    const sure = groups.sure?.videos ?? {};
    const members = [...groups.members(this.id)];
    members.sort((a, b) => (sure[a]?.[0] ?? 0) - (sure[b]?.[0] ?? 0) || (a < b ? -1 : 1));
    this.members.replaceChildren(...members.map((video) => this.makeMember(video, chosen.has(video))));
    if (at !== null) this.tickOf(at)?.focus();
    if (data.several) return;
    const others = groups.ids.filter((other) => other !== this.id);
    const focused = this.moveTo !== null && document.activeElement === this.moveTo;
    const moveTo = make(
      "select",
      { "aria-label": `Move the chosen videos of ${this.id} to`, title: "key T" },
      make("option", { value: "" }, "move the chosen to …"),
      ...others.map((other) => make("option", { value: other }, calledNow(other))),
      make("option", { value: "new" }, "a cluster of their own"),
    );
    moveTo.addEventListener("change", () => this.move(moveTo.value));
    this.folded.querySelector(".move")?.remove();
    this.folded.append(make("div", { class: "move" }, moveTo));
    this.moveTo = moveTo;
    if (focused) moveTo.focus();
  }

  /**
   * @param {string} video
   * @param {boolean} chosen
   */
  makeMember(video, chosen) {
    const tick = make("input", { type: "checkbox", value: video, checked: chosen });
    const [agree, other, share] = groups.sure?.videos[video] ?? [null, null, 0];
    const words = other ? `${percent(share)} of its votes are of ${calledNow(other)}` : "";
    const suggested =
      other && groups.members(other).length
        ? make(
            "button",
            { type: "button", title: `${words}: move it there`, onclick: () => groups.move([video], other) },
            `→ ${other}`,
          )
        : null;
    const member = make(
      "li",
      { draggable: "true" },
      make("label", {}, tick, make("span", {}, video)),
      agree === null ? null : make("span", { class: "sure", title: VOTES_MEAN }, percent(agree)),
      suggested,
    );
    member.addEventListener("dragstart", (event) => {
      const all = this.chosen();
      const dragged = all.includes(video) ? all : [video];
      event.dataTransfer?.setData("application/x-videos", JSON.stringify(dragged));
    });
    return member;
  }

  /** The videos whose box is ticked. */
  chosen() {
    const ticked = /** @type {NodeListOf<HTMLInputElement>} */ (this.members.querySelectorAll("input:checked"));
    return [...ticked].map((tick) => tick.value);
  }

  /** @param {string} video */
  tickOf(video) {
    const ticks = /** @type {NodeListOf<HTMLInputElement>} */ (this.members.querySelectorAll("input"));
    return [...ticks].find((tick) => tick.value === video);
  }

  openMembers() {
    this.folded.open = true;
    this.drawMembers();
    this.members.querySelector("input")?.focus();
  }

  takeDrops() {
    this.root.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("application/x-videos")) return;
      event.preventDefault();
      this.root.classList.add("over");
    });
    this.root.addEventListener("dragleave", () => this.root.classList.remove("over"));
    this.root.addEventListener("drop", (event) => {
      this.root.classList.remove("over");
      const dragged = event.dataTransfer?.getData("application/x-videos");
      if (!dragged) return;
      event.preventDefault();
      groups.move(JSON.parse(dragged), this.id);
    });
  }

  /** @param {string} into a cluster, or "new" */
  move(into) {
    const videos = this.chosen();
    if (this.moveTo) this.moveTo.value = "";
    if (!videos.length || !into) return;
    if (into === "new") groups.splitOff(videos);
    else groups.move(videos, into);
  }

  merge() {
    const into = this.into.value;
    if (!into) return;
    groups.rename(this.id, this.name);
    groups.merge(this.id, into);
    const root = [...document.querySelectorAll(".cluster")].find((one) => one.getAttribute("data-cluster") === into);
    /** @type {HTMLElement | null | undefined} */ (root?.querySelector("h3"))?.focus();
  }

  /** Into the two groups that the server finds; where it cannot, the chosen videos become a cluster of their own. */
  async split() {
    const ticked = this.chosen();
    if (ticked.length || !groups.halfOf) {
      this.trouble.textContent = ticked.length ? "" : "tick the videos that are to be a cluster of their own";
      if (ticked.length) groups.splitOff(ticked);
      else this.openMembers();
      return;
    }
    const { videos, trouble } = await groups.halfOf(this.id);
    this.trouble.textContent = trouble;
    if (videos.length) groups.splitOff(videos);
  }
}
