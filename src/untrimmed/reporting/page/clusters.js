/** The clusters of an unlabelled run: what is typical of each, and fields to name them. */

import { data } from "./data.js";
import { buttonOf, byId, make, saveFile } from "./dom.js";
import { csv, grouped, many } from "./format.js";
import { showSegment } from "./list.js";
import { lookOf } from "./look.js";
import { Preview, watchPreviews } from "./previews.js";

/** @typedef {import("./data.js").Cluster} Cluster */

const fields = data.clusters.map((cluster) =>
  make("input", {
    type: "text",
    autocomplete: "off",
    spellcheck: "true",
    maxlength: 200,
    placeholder: "a name",
    list: "given",
    "aria-label": `What happens in ${data.classes[cluster.label]}`,
  }),
);
let unsaved = false;

export function showClusters() {
  if (!data.clusters.length) return;
  byId("cluster-list").append(...data.clusters.map((cluster, k) => makeCluster(cluster, fields[k])));
  const given = make("datalist", { id: "given" });
  byId("clusters").append(given);
  for (const field of fields) {
    field.addEventListener("input", () => {
      unsaved = true;
      sayHowMany();
    });
    field.addEventListener("change", () => {
      const options = [...new Set(fields.map(nameIn))].filter(Boolean).map((value) => make("option", { value }));
      given.replaceChildren(...options);
    });
  }
  buttonOf("save-names").addEventListener("click", () => {
    const rows = data.clusters.map((cluster, k) => [data.classes[cluster.label], nameIn(fields[k])]);
    saveFile("names.csv", csv([["cluster", "name"], ...rows]));
    unsaved = false;
  });
  buttonOf("save-labels").addEventListener("click", () => {
    const rows = labelled().map(({ video, label }) => [video, label]);
    saveFile("labels.csv", csv([["video", "label"], ...rows]));
    unsaved = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if (unsaved) event.preventDefault();
  });
  sayHowMany();
  watchPreviews();
}

/**
 * @param {Cluster} cluster
 * @param {HTMLInputElement} field
 */
function makeCluster(cluster, field) {
  const previews = cluster.typical.map(
    (typical) => new Preview(typical, () => showSegment(typical.video, typical.segment)).root,
  );
  const counts = `${many(cluster.videos, "training video")}, ${many(cluster.detections, "detection")}`;
  const dab = make("i", { class: "dab", ...lookOf(cluster.label) });
  return make(
    "li",
    { class: "cluster" },
    make(
      "div",
      { class: "cluster-head" },
      make("span", {}, dab, make("b", {}, data.classes[cluster.label])),
      make("span", { class: "about" }, counts),
      make("label", {}, make("span", {}, "What happens here?"), field),
    ),
    previews.length
      ? make("div", { class: "previews" }, ...previews)
      : make("p", { class: "none" }, "No segment of this group is on the page."),
  );
}

/**
 * The name in a field, or "" for none.
 *
 * @param {HTMLInputElement} field
 */
function nameIn(field) {
  const name = field.value
    .replace(/\p{Cc}/gu, " ")
    .normalize("NFC")
    .trim();
  return name === "-" || name === "?" ? "" : name;
}

/** The training videos whose cluster has a name, and the label that it gives them: "" for surely no action. */
function labelled() {
  const named = data.assigned.map(({ video, cluster }) => ({ video, name: nameIn(fields[cluster]) }));
  return named
    .filter(({ name }) => name !== "")
    .map(({ video, name }) => ({ video, label: data.noAction.includes(name.toLowerCase()) ? "" : name }));
}

function sayHowMany() {
  const named = fields.filter((field) => nameIn(field) !== "").length;
  const rows = labelled();
  const labels = new Set(rows.map(({ label }) => label).filter(Boolean)).size;
  const videos = `${grouped(rows.length)} of ${many(data.assigned.length, "training video")}`;
  byId("named").textContent =
    `${named} of ${many(fields.length, "group")} named: ${many(labels, "label")} for ${videos}`;
  buttonOf("save-names").disabled = !named;
  buttonOf("save-labels").disabled = !rows.length;
}
