package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/pinot"
)

const (
	// plainRiver is the argument, followed by a fetch cooldown, that makes this
	// program a worker as River's documentation shows one.
	plainRiver = "plain-river"

	// plainSchema has River's tables as River itself makes them.
	plainSchema = "plain_river"
)

type plainArgs struct {
	FlightID string `json:"flight_id"`
}

func (plainArgs) Kind() string { return "bill_flight" }

// plainWorker reads, prices and saves, and completes its job in the save's
// transaction: https://riverqueue.com/docs/transactional-job-completion. The save
// itself is one round trip, on a statement that pgx has prepared.
type plainWorker struct {
	river.WorkerDefaults[plainArgs]

	pool   *pgxpool.Pool
	source *pinot.Source
	books  *db.PriceBooks
	book   *db.PriceBook
}

func (w *plainWorker) Work(ctx context.Context, job *river.Job[plainArgs]) error {
	flight, err := w.source.Flight(ctx, job.Args.FlightID)
	if err != nil {
		return err
	}
	customer, _, err := w.books.Customer(ctx, w.book, flight)
	if err != nil {
		return err
	}
	landedOn := w.book.Calendar.MovementDate(flight)
	charges, err := billing.Price(billing.Case{Flight: flight, Customer: customer, MovedOn: landedOn}, w.book.Tariffs, billing.Bounds{})
	if err != nil {
		return err
	}
	closesOn, _ := w.book.Calendar.Period(customer, landedOn, w.book.Cutoff)
	var tariffs []int64
	var quantities, amounts, taxes []string
	for _, c := range charges {
		tariffs = append(tariffs, c.TariffID)
		quantities = append(quantities, c.Quantity.String())
		amounts = append(amounts, c.Amount.StringFixed(2))
		taxes = append(taxes, c.TaxAmount.StringFixed(2))
	}

	tx, err := w.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // after a commit there is nothing to roll back
	if _, err := tx.Exec(ctx, "SELECT public.save_by_peer($1, $2, $3, $4, $5, $6, $7::text[]::numeric[], $8::text[]::numeric[], $9::text[]::numeric[])",
		flight.ID, customer.ID, landedOn, flight, closesOn, tariffs, quantities, amounts, taxes); err != nil {
		return err
	}
	if _, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job); err != nil {
		return err
	}
	return tx.Commit(ctx)
}

// runPlainRiver works until it is told to stop.
func runPlainRiver(ctx context.Context, cooldown time.Duration) error {
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	source, err := pinot.New(pinot.Config{Brokers: []string{os.Getenv("PINOT_BROKERS")}})
	if err != nil {
		return err
	}
	defer source.Close()
	books := db.NewPriceBooks(pool)
	book, err := books.Current(ctx)
	if err != nil {
		return err
	}
	all := river.NewWorkers()
	river.AddWorker(all, &plainWorker{pool: pool, source: source, books: books, book: book})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: plainSchema, Workers: all, FetchCooldown: cooldown,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workers}},
	})
	if err != nil {
		return err
	}
	signals, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, readyLine)
	<-signals.Done()
	return client.Stop(context.WithoutCancel(ctx))
}

// makePlainRiver makes River's own tables, in a schema of their own: flightbill's
// have two indexes less.
func makePlainRiver(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, "CREATE SCHEMA "+plainSchema); err != nil {
		return err
	}
	migrator, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Schema: plainSchema})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// riverQueue enqueues through River's client, with the same settings as the
// worker's.
type riverQueue struct{ cooldown time.Duration }

func (q riverQueue) client(pool *pgxpool.Pool) (*river.Client[pgx.Tx], error) {
	return river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: plainSchema, FetchCooldown: q.cooldown})
}

func (q riverQueue) many(ctx context.Context, pool *pgxpool.Pool, tx pgx.Tx, ids []string) error {
	client, err := q.client(pool)
	if err != nil {
		return err
	}
	params := make([]river.InsertManyParams, len(ids))
	for i, id := range ids {
		params[i].Args = plainArgs{id}
	}
	_, err = client.InsertManyFastTx(ctx, tx, params)
	return err
}

func (q riverQueue) single(_ context.Context, pool *pgxpool.Pool) (func(context.Context, string) error, error) {
	client, err := q.client(pool)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, id string) error {
		_, err := client.Insert(ctx, plainArgs{id}, nil)
		return err
	}, nil
}

func (q riverQueue) unfinished() string {
	return "SELECT count(*) FROM " + plainSchema + ".river_job WHERE state <> 'completed'"
}
