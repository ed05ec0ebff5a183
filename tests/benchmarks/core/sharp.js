// sharp, in the protocol of worker.py: one JSON object a line in, one out. The first argument is the folder with node_modules.
const sharp = require(process.argv[2] + '/node_modules/sharp');
const fs = require('fs');
const lines = require('readline').createInterface({ input: process.stdin });

sharp.cache(false);
sharp.concurrency(1);

const OPEN = { limitInputPixels: false };
const inside = side => [side, side, { fit: 'inside', withoutEnlargement: true }];
const encode = (picture, job) => job.format === 'jpeg'
  ? picture.flatten({ background: '#fff' }).jpeg({ quality: job.quality, optimiseCoding: true })
  : picture.webp({ quality: job.quality, effort: job.method });
const fitted = (width, height, side) => {
  const scale = Math.min(1, side / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
};

const ENGINES = {
  // What its documentation shows: one pipeline, a clone for each size. Each clone decodes for itself.
  usual: async (data, job) => {
    const pipeline = sharp(data, OPEN).rotate();
    const made = [];
    for (const side of job.sizes) made.push(await encode(pipeline.clone().resize(...inside(side)), job).toBuffer());
    return made;
  },
  // Its best: decoded once to raw pixels at the largest size, each smaller one from the next larger.
  best: async (data, job) => {
    const first = await sharp(data, OPEN).rotate().resize(...inside(job.sizes[0])).raw().toBuffer({ resolveWithObject: true });
    let { data: pixels, info } = first;
    const made = [await encode(sharp(pixels, { raw: info }), job).toBuffer()];
    for (const side of job.sizes.slice(1)) {
      const size = fitted(first.info.width, first.info.height, side);
      ({ data: pixels, info } = await sharp(pixels, { raw: info }).resize(...size, { fit: 'fill' }).raw().toBuffer({ resolveWithObject: true }));
      made.push(await encode(sharp(pixels, { raw: info }), job).toBuffer());
    }
    return made;
  },
};

const peak = () => +fs.readFileSync('/proc/self/status', 'utf8').match(/VmHWM:\s+(\d+)/)[1] / 1024;
const say = told => console.log(JSON.stringify(told));

(async () => {
  say({ ready: true, version: sharp.versions });
  for await (const line of lines) {
    const asked = JSON.parse(line);
    try {
      const data = fs.readFileSync(asked.path);
      const cpu = process.cpuUsage(), started = process.hrtime.bigint();
      const made = await ENGINES[asked.function](data, asked.job);
      const ms = Number(process.hrtime.bigint() - started) / 1e6, used = process.cpuUsage(cpu);
      if (asked.save) made.forEach((bytes, at) => fs.writeFileSync(`${asked.save}-${at}`, bytes));
      say({ ms, cpu_ms: (used.user + used.system) / 1e3, bytes: made.map(bytes => bytes.length), peak_mb: peak() });
    } catch (error) {
      say({ error: String(error) });
    }
  }
})();
