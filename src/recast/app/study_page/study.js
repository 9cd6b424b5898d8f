"use strict";

const byId = id => document.getElementById(id);
const keys = { ArrowLeft: "left", ArrowDown: "same", ArrowRight: "right" };
const players = ["source", "left", "right"].map(byId);
const buttons = [...document.querySelectorAll("[data-choice]")];
const seat = Number(new URLSearchParams(location.search).get("seat"));
let items = [], place = 0, since = 0, ready = false;

async function ask(path, options = {}) {
  const answer = await fetch(`api/v1/${path}`, { ...options, headers: { "X-Recast": "1",
    "Content-Type": "application/json" } });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error || `the server answered ${answer.status}`);
  return answer.status === 204 ? null : answer.json();
}

function show(id) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== id;
}

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = !text;
}

function allow(allowed) {
  ready = allowed;
  for (const button of buttons) button.disabled = !allowed;
}

// Answers are taken once both clips have been seen from their beginning to their end, but for clips seen before.
function present() {
  const item = items[place];
  if (!item) return show("done");
  show("rate");
  allow(false);
  byId("prompt").textContent = item.prompt;
  byId("count").textContent = `${place + 1} of ${items.length}`;
  byId("progress").max = items.length;
  byId("progress").value = items.filter(each => each.answer).length;
  byId("back").disabled = place === 0;
  for (const button of buttons) button.setAttribute("aria-pressed", button.dataset.choice === item.answer);
  const seen = new Set();
  for (const player of players) {
    player.onloadeddata = () => player.play().catch(() => { player.controls = true; });
    player.onerror = () => trouble("A clip cannot be played here. Reload the page; if that does not help, tell who asked you.");
    player.ontimeupdate = () => {
      const played = player.played;
      const whole = played.length && played.end(played.length - 1) > player.duration - 0.3;
      if (whole) seen.add(player.id);
      if (!ready && (item.answer || (seen.has("left") && seen.has("right")))) allow(true);
    };
    player.src = `clips/${item[player.id]}.mp4`;
  }
  since = performance.now();
}

async function choose(choice) {
  if (!ready) return;
  const item = items[place];
  allow(false);
  try {
    const body = JSON.stringify({ choice, seconds: (performance.now() - since) / 1000 });
    await ask(`seats/${seat}/answers/${item.pair}`, { method: "PUT", body });
  } catch (error) {
    trouble(`That answer was not kept (${error.message}). Answer again in a moment.`);
    return allow(true);
  }
  trouble("");
  item.answer = choice;
  place += 1;
  present();
}

async function begin() {
  const study = await ask("study");
  for (const each of document.querySelectorAll(".question")) each.textContent = study.question;
  if (seat) {
    items = await ask(`seats/${seat}`);
    const open = items.findIndex(each => !each.answer);
    place = open < 0 ? items.length : open;
    return present();
  }
  for (const each of study.seats) {
    const link = document.createElement("a"), facts = document.createElement("small"), row = document.createElement("li");
    link.href = `?seat=${each.number}`;
    link.textContent = `Rater ${each.number}`;
    facts.textContent = each.done === each.total ? `all ${each.total} answered` : `${each.done} of ${each.total} answered`;
    link.append(facts);
    row.append(link);
    byId("seats").append(row);
  }
  show("start");
}

for (const button of buttons) button.onclick = () => choose(button.dataset.choice);
byId("back").onclick = () => { place -= 1; present(); };
byId("review").onclick = () => { place = items.length - 1; present(); };
document.onkeydown = event => {
  if (byId("rate").hidden || event.repeat || !(event.key in keys)) return;
  event.preventDefault();
  choose(keys[event.key]);
};
begin().catch(error => trouble(`The study cannot be shown: ${error.message}`));
