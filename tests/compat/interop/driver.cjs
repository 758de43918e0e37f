// The JavaScript side of the tests: one command of JSON a line on standard input, one answer a line on standard output.
//
// Values that JSON has not are {"$date": milliseconds}, {"$bytes": base64} and {"$set": [texts]}. An object is told as
// {"id", "values"}, without the fields that have no value; one that is not stored is null.
"use strict";

require("./endpoint.cjs");

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { AsyncResource } = require("async_hooks");
const bao = require("dynamo-bao");

// Standard output is for answers only.
console.log = console.info = console.warn = console.error;

// --- values ---------------------------------------------------------------------------------------------------------

function tell(value) {
  if (value instanceof Date) return { $date: value.getTime() };
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Set) return { $set: [...value].sort() };
  return value;
}

function hear(value) {
  if (Array.isArray(value)) return value.map(hear);
  if (value === null || typeof value !== "object") return value;
  if ("$date" in value) return new Date(value.$date);
  if ("$bytes" in value) return Buffer.from(value.$bytes, "base64");
  if ("$set" in value) return new Set(value.$set);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, hear(one)]));
}

function describe(object) {
  if (!object || !object.exists()) return null;
  const values = {};
  for (const name of Object.keys(object.constructor.fields)) {
    const value = object[name];
    if (value !== undefined && value !== null) values[name] = tell(value);
  }
  return { id: object.getPrimaryId(), values };
}

// --- the library ----------------------------------------------------------------------------------------------------

let models = {};
let settings = null;

function load(folder) {
  models = {};
  for (const file of fs.readdirSync(folder).sort()) {
    if (file.endsWith(".js")) Object.assign(models, require(path.join(folder, file)));
  }
}

// A tenant's manager is made when the tenant is first seen; the one without tenant last, because the classes keep the
// tenant they were initialised for most recently.
function connect(tenant) {
  const init = () => bao.initModels({ models, ...settings });
  if (tenant) bao.TenantContext.runWithTenant(tenant, init);
  init();
}

const known = new Set();

function within(tenant, work) {
  if (!tenant) return work();
  if (!known.has(tenant)) {
    connect(tenant);
    known.add(tenant);
  }
  return bao.TenantContext.runWithTenant(tenant, work);
}

// --- the clock ------------------------------------------------------------------------------------------------------

const RealDate = Date;

function stopClock(now) {
  if (now === null) {
    global.Date = RealDate;
    return;
  }
  global.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length ? given : [now]));
    }
    static now() {
      return now;
    }
    static [Symbol.hasInstance](value) {
      return value instanceof RealDate;
    }
  };
}

// --- commands -------------------------------------------------------------------------------------------------------

async function all(iterator) {
  const found = [];
  for await (const batch of iterator) found.push(...batch.map(describe));
  return found;
}

const commands = {
  open({ folder, table }) {
    if (folder) load(folder);
    bao.TenantContext.reset();
    known.clear();
    settings = { db: { tableName: table }, aws: { region: "us-east-1" } };
    connect(null);
    return Object.keys(models).sort();
  },

  clock({ now }) {
    stopClock(now);
    return null;
  },

  create: async ({ model, values }) => describe(await models[model].create(hear(values))),

  find: async ({ model, id }) => describe(await models[model].find(hear(id))),

  find_all: ({ model, ids }) =>
    bao.runWithBatchContext(async () =>
      (await Promise.all(ids.map((id) => models[model].find(id)))).map(describe),
    ),

  update: async ({ model, id, values, condition }) => {
    const options = condition ? { condition: hear(condition) } : {};
    return describe(await models[model].update(id, hear(values), options));
  },

  increment: async ({ model, id, amounts }) => {
    const signed = ([name, amount]) => [name, amount < 0 ? String(amount) : `+${amount}`];
    return describe(await models[model].update(id, Object.fromEntries(Object.entries(amounts).map(signed))));
  },

  save: async ({ model, id, values, reindex }) => {
    const object = await models[model].find(id);
    Object.assign(object, hear(values));
    return describe(await object.save(reindex ? { forceReindex: true } : {}));
  },

  // An object that is held while others write, and saved later.
  hold: async ({ model, id }) => {
    held = await models[model].find(id);
    return describe(held);
  },

  save_held: async ({ values, condition }) =>
    describe(await Object.assign(held, hear(values)).save(condition ? { condition: hear(condition) } : {})),

  // A batch context in which an item was read, and an update in it while others may have written.
  read_early: ({ model, id }) =>
    bao.runWithBatchContext(async () => {
      const found = await models[model].find(id);
      updateLater = AsyncResource.bind((values) => models[model].update(id, values));
      return describe(found);
    }),

  update_late: async ({ values }) => describe(await updateLater(hear(values))),

  // Members are taken out of and put into the set that the object holds.
  members: async ({ model, id, field, add, remove }) => {
    const object = await models[model].find(id);
    const set = object[field];
    for (const member of remove) set.delete(member);
    for (const member of add) set.add(member);
    return describe(await object.save());
  },

  delete: async ({ model, id, condition }) => {
    await models[model].delete(id, condition ? { condition: hear(condition) } : {});
    return null;
  },

  query: async ({ model, index, value, sort, options }) => {
    const answer = await models[model].queryByIndex(index, hear(value), hear(sort), hear(options));
    return options.countOnly ? answer.count : answer.items.map(describe);
  },

  pages: async ({ model, index, value, limit }) => {
    const pages = [];
    let startKey;
    do {
      const page = await models[model].queryByIndex(index, hear(value), null, { limit, startKey });
      pages.push(page.items.map(describe));
      startKey = page.lastEvaluatedKey;
    } while (startKey);
    return pages;
  },

  unique: async ({ model, name, value }) => describe(await models[model].findByUniqueConstraint(name, hear(value))),

  iterate: ({ model, bucket }) =>
    all(bucket === null ? models[model].iterateAll({ batchSize: 3 }) : models[model].iterateBucket(bucket)),

  // A generated method of an object, such as member.querySkills() or skill.getMembers().
  call: async ({ model, id, method, values }) => {
    const object = await models[model].find(id);
    const answer = await object[method](...hear(values));
    return answer.items ? answer.items.map(describe) : describe(answer);
  },

  related: async ({ model, id, field }) => describe(await (await models[model].find(id)).getOrLoadRelatedField(field)),

  // Many commands, `width` of them under way at any time; the outcomes are in the commands' order.
  many: ({ commands: wanted, width }) => carryOut(wanted, width, () => {}),

  // The same, told of as soon as the first one is done; `finish` waits for the rest and gives the outcomes.
  begin: ({ commands: wanted, width }) =>
    new Promise((begun) => {
      underway = carryOut(wanted, width, () => begun(null));
    }),

  finish: () => underway,
};

let held = null;
let updateLater = null;
let underway = null;

async function carryOut(wanted, width, onOutcome) {
  const outcomes = new Array(wanted.length);
  let next = 0;
  const worker = async () => {
    while (next < wanted.length) {
      const place = next++;
      outcomes[place] = await answer(wanted[place]);
      onOutcome();
    }
  };
  await Promise.all(Array.from({ length: width }, worker));
  return outcomes;
}

async function answer(command) {
  try {
    return { value: await within(command.tenant, () => commands[command.do](command)) };
  } catch (error) {
    return { error: error.name, message: String(error.message) };
  }
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + "\n");
  }
}

main();
