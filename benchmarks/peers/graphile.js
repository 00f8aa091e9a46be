// graphile-worker: `graphile.js`, `graphile.js batched` and `graphile.js one`.
//
// Settings: concurrentJobs 5, and 12 connections, so that nobody waits for one.
// `batched` adds a local queue of 100 jobs, which spares a fetch a job, and
// completes jobs together; `one` also saves in one round trip. The delay of
// completions is 250 ms, which is what its documentation recommends to start with.
import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import { newPool, prepare, price, readFlight, ready, save, saveInSteps } from './billing.js'

const mode = process.argv[2]
const pool = newPool(12)
const logger = new Logger(() => (level, message) => {
  if (level === 'error') console.error(message)
})
if (mode === 'setup') {
  const utils = await makeWorkerUtils({ pgPool: pool, logger })
  await utils.migrate()
  await utils.release()
  await pool.end()
  process.exit(0)
}
await prepare(pool)

async function bill ({ flight_id: id }, helpers) {
  const bill = price(await readFlight(id))
  await helpers.withPgClient(async client => {
    await client.query('BEGIN')
    try {
      await saveInSteps(client, bill)
      await client.query('COMMIT')
    } catch (err) {
      await client.query('ROLLBACK')
      throw err
    }
  })
}

async function billInOne ({ flight_id: id }, helpers) {
  const bill = price(await readFlight(id))
  await helpers.withPgClient(client => save(client, bill))
}

const batching = mode ? { localQueue: { size: 100 }, completeJobBatchDelay: 250 } : {}
const runner = await run({
  preset: { worker: { concurrentJobs: 5, maxPoolSize: 12, ...batching } },
  pgPool: pool,
  logger,
  noHandleSignals: true,
  taskList: { bill: mode === 'one' ? billInOne : bill }
})
ready(async () => {
  await runner.stop()
  await pool.end()
})
