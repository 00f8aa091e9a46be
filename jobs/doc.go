// Package jobs is flightbill's work, as River jobs.
//
//   - Service is the River client with its queues, workers and schedules.
//   - IngestFlight bills flights: read, price, save. docs/architecture.md has the picture.
//   - breaker keeps workers from a flight source that is away.
//   - housekeeper does what each process does now and then.
//   - ConsolidateInvoices issues the invoices of the periods that have closed;
//     Consolidator is the same by hand.
//   - MarkOverdue turns unpaid invoices past due from PENDING to OVERDUE.
//   - Stats counts and times all of it, for results.json and for Prometheus.
package jobs
