// What every Node contender does with one flight: read it from Pinot's broker over
// a connection that is kept open, price it, and save it. Customers and tariffs are
// kept in memory, amounts are whole cents.
import http from 'node:http'
import pg from 'pg'

const broker = new URL(process.env.PINOT_URL ?? 'http://127.0.0.1:8099')
const agent = new http.Agent({ keepAlive: true, maxSockets: 256 })

const columns = 'flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination, ' +
  'departed_at, landed_at, distance_km, passengers'

// ask posts one query and returns its rows as objects.
function ask (sql) {
  const body = JSON.stringify({ sql })
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent,
      host: broker.hostname,
      port: broker.port,
      method: 'POST',
      path: '/query/sql',
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    }, response => {
      const chunks = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        try {
          const { resultTable, exceptions } = JSON.parse(Buffer.concat(chunks))
          if (response.statusCode !== 200 || exceptions?.length > 0) {
            throw new Error(`Pinot answered ${response.statusCode}: ${JSON.stringify(exceptions)}`)
          }
          const names = resultTable.dataSchema.columnNames
          resolve(resultTable.rows.map(row => Object.fromEntries(row.map((value, i) => [names[i], value]))))
        } catch (err) {
          reject(err)
        }
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

const literal = id => `'${id.replaceAll("'", "''")}'`

export async function readFlight (id) {
  const rows = await ask(`SELECT ${columns} FROM "flights" WHERE (flight_id = ${literal(id)}) LIMIT 10`)
  if (rows.length !== 1) throw new Error(`flight ${id}: ${rows.length} rows`)
  return rows[0]
}

// readFlights reads many with one query.
export async function readFlights (ids) {
  const rows = await ask(`SELECT ${columns} FROM "flights" WHERE (flight_id IN (${ids.map(literal).join(', ')})) LIMIT ${10 * ids.length}`)
  if (rows.length !== ids.length) throw new Error(`${ids.length} flights: ${rows.length} rows`)
  return rows
}

export const newPool = max => new pg.Pool({ connectionString: process.env.DATABASE_URL, max })

let customers, runway, passenger

// prepare reads what flights are priced by.
export async function prepare (db) {
  const payers = await db.query('SELECT c.id, c.week_ends_on, o.operator FROM flightbill.customers c JOIN flightbill.customer_operators o ON o.customer_id = c.id')
  customers = new Map(payers.rows.map(c => [c.operator, { id: c.id, weekEndsOn: Number(c.week_ends_on) }]))
  const tariffs = await db.query('SELECT * FROM flightbill.tariffs')
  const byCode = code => {
    const t = tariffs.rows.find(t => t.code === code)
    return { id: t.id, rate: Math.round(t.unit_rate * 100), minimum: Math.round((t.minimum ?? 0) * 100), tax: Math.round(t.tax_rate * 100) }
  }
  runway = byCode('RUNWAY')
  passenger = byCode('PAX')
}

const day = 24 * 60 * 60 * 1000
const date = ms => new Date(ms).toISOString().slice(0, 10)
const money = cents => (cents / 100).toFixed(2)

// price makes a bill: two charges, and the customer's next closing date, which is
// after the flight.
export function price (flight) {
  const customer = customers.get(flight.operator)
  const weekday = new Date(flight.landed_at).getUTCDay() || 7
  const tonnes = Math.ceil(flight.mtow_kg / 1000)
  const amounts = [Math.max(tonnes * runway.rate, runway.minimum), Math.max(flight.passengers * passenger.rate, passenger.minimum)]
  return {
    flight_id: flight.flight_id,
    customer_id: customer.id,
    landed_on: date(flight.landed_at),
    facts: flight,
    closes_on: date(flight.landed_at + ((customer.weekEndsOn - weekday + 6) % 7 + 1) * day),
    tariff_ids: [runway.id, passenger.id],
    quantities: [tonnes, flight.passengers],
    amounts: amounts.map(money),
    taxes: [Math.round(amounts[0] * runway.tax / 100), Math.round(amounts[1] * passenger.tax / 100)].map(money)
  }
}

const parameters = b =>
  [b.flight_id, b.customer_id, b.landed_on, b.facts, b.closes_on, b.tariff_ids, b.quantities, b.amounts, b.taxes]

// save is one prepared statement and one round trip: a function in the database.
export const save = (db, bill) => db.query({
  name: 'save', text: 'SELECT save_by_peer($1, $2, $3, $4, $5, $6, $7, $8, $9)', values: parameters(bill)
})

// saveAndRemove also takes the flight out of a queue table, in the same statement.
export const saveAndRemove = (db, bill) => db.query({
  name: 'save',
  text: 'WITH gone AS (DELETE FROM peer_queue WHERE flight_id = $1) SELECT save_by_peer($1, $2, $3, $4, $5, $6, $7, $8, $9)',
  values: parameters(bill)
})

// saveMany is save for a batch, likewise.
export const saveMany = 'SELECT save_many_by_peer($1)'

// saveInSteps is a save as most people write it, in a transaction of the caller's:
// each statement is prepared, each a round trip.
export async function saveInSteps (db, bill) {
  const ledger = await db.query({
    name: 'ledger',
    text: `INSERT INTO flightbill.billed_flights (flight_id, customer_id, landed_on, facts, billed_at) VALUES ($1, $2, $3, $4, now())
      ON CONFLICT (flight_id) DO NOTHING`,
    values: parameters(bill).slice(0, 4)
  })
  if (ledger.rowCount === 0) return
  const draft = {
    name: 'draft',
    text: `SELECT id FROM flightbill.invoices WHERE customer_id = $1 AND currency = 'EUR' AND closes_on = $2
      AND kind = 'consolidated' AND status <> 'VOID'`,
    values: [bill.customer_id, bill.closes_on]
  }
  let found = await db.query(draft)
  if (found.rowCount === 0) {
    await db.query(`INSERT INTO flightbill.invoices (customer_id, kind, closes_on, currency) VALUES ($1, 'consolidated', $2, 'EUR')
      ON CONFLICT DO NOTHING`, draft.values)
    found = await db.query(draft)
  }
  await db.query({
    name: 'charges',
    text: `INSERT INTO flightbill.charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
      SELECT $1, $2, t.id, t.code, t.description, l.quantity, t.unit_rate, l.amount, t.tax_rate, l.tax, $3
      FROM unnest($4::bigint[], $5::numeric[], $6::numeric[], $7::numeric[]) AS l (tariff_id, quantity, amount, tax) JOIN flightbill.tariffs t ON t.id = l.tariff_id`,
    values: [found.rows[0].id, bill.flight_id, bill.landed_on, bill.tariff_ids, bill.quantities, bill.amounts, bill.taxes]
  })
}

// ready tells the benchmark that work can begin, and ends in good order when told to.
export function ready (stop) {
  process.on('SIGTERM', async () => {
    await stop()
    process.exit(0)
  })
  console.log('ready')
}
