// The design that flightbill replaces: every 30 seconds the main thread reads the
// queue table and deals what is in it to five worker threads.
//
// At its best: a poll takes all there is, a thread gets its next flight the moment
// it is done with one, and saves and removes it in one round trip on a connection
// of its own.
import { Worker, isMainThread, parentPort } from 'node:worker_threads'
import { newPool, prepare, price, readFlight, ready, saveAndRemove } from './billing.js'

if (isMainThread) {
  const pool = newPool(1)
  const threads = Array.from({ length: 5 }, () => new Worker(new URL(import.meta.url)))
  await Promise.all(threads.map(thread => new Promise(resolve => thread.once('message', resolve))))

  let polling = false
  const poll = async () => {
    if (polling) return
    polling = true
    const { rows } = await pool.query('SELECT flight_id FROM peer_queue ORDER BY id')
    let next = 0
    await Promise.all(threads.map(thread => new Promise(resolve => {
      const deal = () => {
        if (next < rows.length) {
          thread.postMessage(rows[next++].flight_id)
        } else {
          thread.off('message', deal)
          resolve()
        }
      }
      thread.on('message', deal)
      deal()
    })))
    polling = false
  }
  setInterval(poll, Number(process.env.POLL_MS ?? 30_000))
  ready(() => pool.end())
} else {
  const pool = newPool(1)
  await prepare(pool)
  parentPort.on('message', async id => {
    await saveAndRemove(pool, price(await readFlight(id)))
    parentPort.postMessage('done')
  })
  parentPort.postMessage('ready')
}
