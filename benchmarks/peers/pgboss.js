// pg-boss 12: `pgboss.js`, `pgboss.js transactional` and `pgboss.js joined`.
//
// Settings: localConcurrency 5 has five handlers at work. A worker that fetches one
// job at a time sleeps half a second after each unless burstWhenReadyExceeds sees
// the backlog in statistics that are up to a minute old, so batches with
// burstWhenBatchFull, which is instant: one fetch and one completion for 50 jobs. In a
// transaction, 20: larger batches are faster and undo more when one flight fails.
// useListenNotify and notify wake idle workers at once. A worker that is woken and
// finds nothing then sleeps 30 seconds, the backlog notwithstanding, unless
// notifyPollingIntervalSeconds is at its least, half a second (no less than the other).
import { PgBoss } from 'pg-boss'
import { newPool, prepare, price, readFlight, readFlights, ready, save, saveMany } from './billing.js'

const queue = 'flights'
const mode = process.argv[2]
const boss = new PgBoss({ connectionString: process.env.DATABASE_URL, max: 12, useListenNotify: true, schedule: false })
boss.on('error', err => console.error(err))
await boss.start()
await boss.createQueue(queue, { notify: true })
if (mode === 'setup') {
  await boss.stop()
  process.exit(0)
}

const pool = newPool(5)
await prepare(pool)

// one flight after the other, each saved by itself
async function handle (jobs) {
  for (const job of jobs) await save(pool, price(await readFlight(job.data.flight_id)))
}

// The batch in pg-boss's own transaction, with the jobs' completion: one commit.
async function handleInTransaction (jobs, tx) {
  const bills = []
  for (const job of jobs) bills.push(price(await readFlight(job.data.flight_id)))
  await tx.executeSql(saveMany, [JSON.stringify(bills)])
}

// The same with one query for a batch, of 50: all its flights are in work at once.
async function handleJoined (jobs, tx) {
  const flights = await readFlights(jobs.map(job => job.data.flight_id))
  await tx.executeSql(saveMany, [JSON.stringify(flights.map(price))])
}

const options = { localConcurrency: 5, batchSize: 50, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5 }
if (mode === 'transactional') {
  await boss.work(queue, { ...options, batchSize: 20, transactional: true }, handleInTransaction)
} else if (mode === 'joined') {
  await boss.work(queue, { ...options, transactional: true }, handleJoined)
} else {
  await boss.work(queue, options, handle)
}
ready(async () => {
  await boss.stop()
  await pool.end()
})
