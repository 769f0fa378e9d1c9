// Joins the parts: what is pressed, what is shown.

const $ = (id) => document.getElementById(id);

async function open_page() {
  const content = JSON.parse($("content").textContent);
  const poses = await unpackPoses(content);
  const spare = Object.keys(content.colours).map(Number).filter((id) => id >= 0);
  const colour = (id) => content.colours[id] ?? content.colours[spare[id % spare.length]];
  const edits = new Edits(poses, content.tracks);
  const view = { content, poses, edits, selected: [], doubt: null, doubts: content.doubts, saved: 0 };
  const stage = new Stage($("canvas"), { poses, skeleton: content.skeleton, width: content.width, height: content.height, colour });
  const timeline = new Timeline($("timeline"), {
    poses, cuts: content.cuts, colour,
    on: { seek: (frame) => player.seek(frame), pick, doubt: visit, only: (id) => { view.selected = [id]; refresh(); timeline.reveal(id); } },
  });
  const player = new Player(poses.times, {
    onFrame: () => {
      if (player.video) stage.take(player.video);
      draw();
      told();
    },
    onChange: () => { told(); timeline.show({ frame: player.ahead }); },
  });
  const toggles = ["skeletons", "ids", "boxes", "trails", "others"];

  function draw() {
    const show = Object.fromEntries(toggles.map((name) => [name, $(name).checked]));
    const look = { ids: edits.ids, frame: player.frame, show, selected: view.selected };
    stage.draw(look);
    view.drawn = player.frame;
    timeline.show({ frame: player.ahead });
  }

  /** Time, and what can be pressed. */
  function told() {
    const { frame } = player;
    $("time").textContent = poses.T ? timeText(poses.times[frame]) : "–";
    $("frame").textContent = poses.T ? `frame ${frame + 1} of ${poses.T}` : "no frames";
    $("play").textContent = player.playing ? "❚❚" : "►";
    $("play").setAttribute("aria-label", player.playing ? "pause" : "play");
  }

  function say(words, wrong = false) {
    $("said").textContent = words;
    $("said").classList.toggle("wrong", wrong);
  }

  /** The first pick is A, the second B, the third begins anew; a second pick of the same one drops it. */
  function pick(id) {
    const { selected } = view;
    if (id === null) view.selected = [];
    else if (selected.includes(id)) view.selected = selected.filter((one) => one !== id);
    else view.selected = selected.length === 1 ? [...selected, id] : [id];
    refresh();
  }

  /** Everything that follows from edits and selection. */
  function refresh() {
    const [a, b] = view.selected;
    for (const [place, id] of [["a", a], ["b", b]]) fillPeople($(place), id);
    $("swap").disabled = $("merge").disabled = a === undefined || b === undefined;
    $("delete").disabled = $("split").disabled = a === undefined;
    $("swap").firstElementChild.textContent = a === undefined || b === undefined ? "Swap A and B" : `Swap ${a} and ${b}`;
    $("merge").firstElementChild.textContent = a === undefined || b === undefined ? "Merge B into A" : `Merge ${b} into ${a}`;
    $("delete").firstElementChild.textContent = a === undefined ? "Delete A" : `Delete ${a}`;
    $("split").firstElementChild.textContent = a === undefined ? "Split A" : `Split ${a}`;
    timeline.look.selected = view.selected;
    draw();
  }

  function fillPeople(select, id) {
    const options = ["", ...timeline.lanes.map((lane) => lane.id)];
    select.replaceChildren(...options.map((one) => new Option(one === "" ? "–" : one, one, false, one === (id ?? ""))));
  }

  function edited() {
    const lines = edits.list.map((edit) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.className = "line";
      button.textContent = edit.lines.join("\n");
      button.addEventListener("click", () => player.seek(edit.frame));
      item.append(button);
      return item;
    });
    $("list").replaceChildren(...lines);
    $("none").hidden = edits.list.length > 0;
    for (const id of ["undo", "download", "copy"]) $(id).disabled = !edits.list.length;
    timeline.look.edits = edits.list;
    timeline.setIds(edits.ids);
    const there = new Set(timeline.lanes.map((lane) => lane.id));
    view.selected = view.selected.filter((id) => there.has(id));
    refresh();
  }

  function edit(verb) {
    const [a, b] = view.selected;
    if (a === undefined || ((verb === "swap" || verb === "merge") && b === undefined)) {
      return say(verb === "swap" || verb === "merge" ? "choose two people first" : "choose a person first", true);
    }
    try {
      const pair = verb === "merge" ? { a: b, b: a } : { a, b };
      const done = edits.add({ verb, ...pair, frame: player.ahead }, $("hold").checked);
      say(`done: ${done.lines[done.lines.length - 1]}`);
      edited();
    } catch (error) {
      say(error.message, true);
    }
  }

  function undo() {
    if (!edits.list.length) return;
    const last = edits.undo();
    view.saved = Math.min(view.saved, edits.list.length);
    say(`undone: ${last.lines[last.lines.length - 1]}`);
    edited();
  }

  function download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([edits.file(content.command)], { type: "text/plain" }));
    link.download = "edits.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    view.saved = edits.list.length;
    say("edits.txt is among your downloads");
  }

  async function copy() {
    const text = edits.file(content.command);
    try {
      await navigator.clipboard.writeText(text);
    } catch { // not allowed for files in some browsers
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) return say("the browser does not let this page copy; download instead", true);
    }
    view.saved = edits.list.length;
    say("copied");
  }

  /** Go to a doubt, with the people that it is about selected. */
  function visit(doubt) {
    view.doubt = doubt;
    const now = doubt.tracks.map((track) => {
      let best = -1;
      for (let row = 0; row < poses.R; row++) {
        if (poses.track[row] !== track || edits.ids[row] < 0) continue;
        if (best < 0 || Math.abs(poses.frame[row] - doubt.frame) < Math.abs(poses.frame[best] - doubt.frame)) best = row;
      }
      return best < 0 ? null : edits.ids[best];
    });
    view.selected = [...new Set(now.filter((id) => id !== null))].slice(0, 2);
    player.pause();
    player.seek(doubt.frame);
    say(`${doubt.kind}, ${Math.round(100 * doubt.confidence)} % sure: ${doubt.why}`);
    timeline.look.doubt = doubt;
    for (const button of $("doubts").querySelectorAll("button")) {
      const here = view.doubts[button.dataset.place] === doubt;
      button.setAttribute("aria-current", here);
      if (here) $("doubts").scrollTop = button.parentElement.offsetTop - $("doubts").offsetTop - 40;
    }
    refresh();
    if (view.selected.length) timeline.reveal(view.selected[0]);
  }

  function neighbour(by) {
    const { doubts } = view;
    if (!doubts.length) return say("no doubts");
    const now = doubts.indexOf(view.doubt), frame = player.ahead;
    if (now >= 0 && doubts[now].frame === frame) return doubts[now + by] ? visit(doubts[now + by]) : say("no more doubts that way");
    const found = by > 0 ? doubts.find((doubt) => doubt.frame > frame) : doubts.filter((doubt) => doubt.frame < frame).pop();
    return found ? visit(found) : say("no more doubts that way");
  }

  function listDoubts() {
    const least = Number($("sure").value);
    view.doubts = content.doubts.filter((doubt) => doubt.confidence >= least);
    timeline.look.doubts = view.doubts;
    $("doubts").replaceChildren(...view.doubts.map((doubt, place) => {
      const item = document.createElement("li"), button = document.createElement("button");
      button.type = "button";
      button.dataset.place = place;
      const part = (kind, words) => Object.assign(document.createElement(kind), { textContent: words });
      const why = part("span", doubt.why);
      why.className = "why";
      const chips = doubt.tracks.map((id) => {
        const chip = part("i", id);
        chip.style.background = colour(id);
        return chip;
      });
      const sure = part("span", `${Math.round(100 * doubt.confidence)} %`);
      sure.className = "sure";
      button.append(part("b", timeText(poses.times[doubt.frame])), part("span", doubt.kind), ...chips, sure, why);
      button.addEventListener("click", () => visit(doubt));
      item.append(button);
      return item;
    }));
    $("no-doubts").hidden = view.doubts.length > 0;
    draw();
  }

  /** Show the video at a place of the list, or a later one that loads; behind the last there is black. */
  async function load(place) {
    const video = $("video");
    const media = video.requestVideoFrameCallback ? content.media[place] : undefined;
    if (content.media[place] && !media) say("this browser does not tell which picture it shows: people move on black", true);
    $("video-choice").value = media ? String(place) : "none";
    if (view.url) player.pause();
    view.url = media?.src;
    $("skeletons").checked = $("ids").checked = !media?.burnt;
    if (!media) {
      stage.picture = null;
      $("black").hidden = false;
      player.detach();
      view.ready = true;
      return;
    }
    const shown = await unpackTimes(media.times, poses.T, content.ticks);
    if (view.url !== media.src) return;
    video.onerror = () => {
      if (view.url !== media.src) return;
      if (player.video) say("the browser cannot go on with this video, which may be damaged", true);
      load(place + 1);
    };
    video.onloadeddata = () => {
      if (view.url !== media.src) return;
      if (!video.videoWidth) return load(place + 1); // sound only
      $("black").hidden = true;
      player.attach(video, shown, media.around);
      view.ready = true;
    };
    player.video = null;
    video.src = media.src;
    video.load();
  }

  $("video-choice").append(
    ...content.media.map((media, place) => new Option(media.label, place)), new Option("no video", "none"),
  );
  $("video-choice").addEventListener("change", (event) => load(event.target.value === "none" ? content.media.length : Number(event.target.value)));
  const presses = {
    play: () => player.toggle(), back: () => player.step(-1), on: () => player.step(1),
    next: () => neighbour(1), previous: () => neighbour(-1),
    swap: () => edit("swap"), merge: () => edit("merge"), delete: () => edit("delete"), split: () => edit("split"),
    undo, download, copy, closer: () => timeline.zoomBy(2), farther: () => timeline.zoomBy(0.5), whole: () => timeline.zoomBy(1e-9),
    exchange: () => { view.selected = [...view.selected].reverse(); refresh(); },
  };
  for (const [id, press] of Object.entries(presses)) $(id).addEventListener("click", press);
  for (const name of toggles) $(name).addEventListener("change", draw);
  for (const [place, id] of ["a", "b"].entries()) {
    $(id).addEventListener("change", (event) => {
      const chosen = [$("a").value, $("b").value].map((text) => (text === "" ? null : Number(text)));
      if (chosen[0] === chosen[1]) chosen[1 - place] = null;
      view.selected = chosen.filter((one) => one !== null);
      refresh();
      if (event.target.value !== "") timeline.reveal(Number(event.target.value));
    });
  }
  $("rate").addEventListener("change", (event) => player.setRate(Number(event.target.value)));
  $("sure").addEventListener("change", listDoubts);
  $("canvas").addEventListener("click", (event) => pick(stage.who(event.clientX, event.clientY)));

  const keys = {
    " ": presses.play, ArrowLeft: presses.back, ArrowRight: presses.on, n: presses.next, p: presses.previous,
    s: presses.swap, m: presses.merge, d: presses.delete, x: presses.split, u: undo,
    "+": presses.closer, "-": presses.farther, 0: presses.whole, Escape: () => pick(null),
    Home: () => player.seek(0), End: () => player.seek(poses.T - 1),
  };
  addEventListener("keydown", (event) => {
    const undoing = event.key === "z" && (event.ctrlKey || event.metaKey);
    if (!undoing && (event.ctrlKey || event.metaKey || event.altKey)) return;
    if (event.target.matches("select, textarea, input:not([type=checkbox])")) return;
    if (event.key === " " && event.target.matches("button, a, input, summary")) return;
    const long = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const press = undoing ? undo : event.shiftKey && long ? () => player.skip(long) : keys[event.key];
    if (!press) return;
    event.preventDefault();
    press();
  });
  addEventListener("beforeunload", (event) => { if (edits.list.length > view.saved) event.preventDefault(); });
  new ResizeObserver(draw).observe($("canvas"));

  Object.assign(view, { stage, timeline, player, visit, pick });
  window.view = view; // for tests, and for the curious
  edited();
  listDoubts();
  told();
  await load(0);
  document.body.dataset.state = "ready";
}

open_page().catch((error) => {
  document.body.dataset.state = "failed";
  $("said").textContent = `this browser cannot show the page: ${error.message}`;
  throw error;
});
