package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Settings are the billing settings: those a process was given, where empty
// means "not given", or those the database has.
type Settings struct {
	Timezone     string            // IANA name
	Close        billing.CloseMode //
	BillingStart billing.Date      // the first run date of all
	TaxBy        TaxBy
}

// TaxBy says how an invoice's tax is rounded.
type TaxBy string

const (
	// TaxByInvoice: once for each tax category and rate, on the sum of its charges.
	TaxByInvoice TaxBy = "invoice"
	// TaxByLine: charge by charge.
	TaxByLine TaxBy = "line"
)

// ParseTaxBy reads it by its name.
func ParseTaxBy(s string) (TaxBy, error) {
	switch by := TaxBy(s); by {
	case TaxByInvoice, TaxByLine:
		return by, nil
	}
	return "", fmt.Errorf("tax_by %q is not known: write invoice, for tax on the sum of each category and rate, or line, for the sum of each line's", s)
}

func settingsOf(row dbsqlc.BillingSettingsGetRow) Settings {
	return Settings{Timezone: row.Timezone, Close: billing.CloseMode(row.Close), BillingStart: row.BillingStart, TaxBy: TaxBy(row.TaxBy)}
}

// EnsureSettings stores the settings at the first start, with defaults for what
// was not given: UTC, period_end, today, tax by invoice. Later it compares: given settings that
// differ from the stored ones are ErrSettingsDiffer.
func EnsureSettings(ctx context.Context, pool *pgxpool.Pool, given Settings, now time.Time) (billing.Calendar, error) {
	var stored Settings
	err := pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		row, err := q.BillingSettingsGet(ctx)
		if errors.Is(err, pgx.ErrNoRows) {
			if err := firstSettings(ctx, q, given, now); err != nil {
				return err
			}
			row, err = q.BillingSettingsGet(ctx)
		}
		stored = settingsOf(row)
		return err
	})
	if err != nil {
		return billing.Calendar{}, fmt.Errorf("read the billing settings: %w", err)
	}
	if err := given.differFrom(stored); err != nil {
		return billing.Calendar{}, err
	}
	return stored.Calendar()
}

// firstSettings leaves it to the database which of several first starts wins.
func firstSettings(ctx context.Context, q *dbsqlc.Queries, given Settings, now time.Time) error {
	given, err := given.withDefaults(now)
	if err != nil {
		return err
	}
	calendar, err := given.Calendar()
	if err != nil {
		return err
	}
	if err := checkZone(ctx, q, calendar.Location, now); err != nil {
		return err
	}
	inserted, err := q.BillingSettingsInsert(ctx, dbsqlc.BillingSettingsInsertParams{
		Timezone: given.Timezone, Close: string(given.Close), BillingStart: given.BillingStart, TaxBy: string(given.TaxBy),
	})
	if err != nil || inserted == 0 {
		return err
	}
	return insertStart(ctx, q, calendar, now)
}

// insertStart records that all periods before the billing start count as run.
func insertStart(ctx context.Context, q *dbsqlc.Queries, calendar billing.Calendar, now time.Time) error {
	before := calendar.Start.AddDays(-1)
	return q.BillingRunInsert(ctx, dbsqlc.BillingRunInsertParams{
		ClosesOn: calendar.Baseline(), RunDate: before, DueAt: calendar.RunTime(before),
		Trigger: string(byStart), StartedAt: now, FinishedAt: &now,
	})
}

// PlannedCalendar is the calendar that the database has or, before the first
// start, the one that would be stored with these settings. It stores nothing.
func PlannedCalendar(ctx context.Context, pool *pgxpool.Pool, given Settings, now time.Time) (billing.Calendar, error) {
	_, err := dbsqlc.New(pool).BillingSettingsGet(ctx)
	if err == nil {
		return EnsureSettings(ctx, pool, given, now)
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return billing.Calendar{}, fmt.Errorf("read the billing settings: %w", err)
	}
	given, err = given.withDefaults(now)
	if err != nil {
		return billing.Calendar{}, err
	}
	return given.Calendar()
}

// withDefaults fills in what was not given at the first start.
func (s Settings) withDefaults(now time.Time) (Settings, error) {
	s = s.over(Settings{Timezone: "UTC", Close: billing.PeriodEnd, TaxBy: TaxByInvoice})
	calendar, err := s.Calendar()
	if err == nil && s.BillingStart.IsZero() {
		s.BillingStart = billing.DateOf(now, calendar.Location)
	}
	return s, err
}

// over is what of s is given, and the rest of others.
func (s Settings) over(others Settings) Settings {
	return Settings{
		Timezone:     cmp.Or(s.Timezone, others.Timezone),
		Close:        cmp.Or(s.Close, others.Close),
		BillingStart: cmp.Or(s.BillingStart, others.BillingStart),
		TaxBy:        cmp.Or(s.TaxBy, others.TaxBy),
	}
}

// ChangeSettings stores what was given and keeps the rest; before the first start
// it stores them, and for the rest first, as that would. A later billing start also moves the cut-off forward;
// an earlier one does not move it back.
// It returns the settings before and after.
func ChangeSettings(ctx context.Context, pool *pgxpool.Pool, given, first Settings, now time.Time) (before, after Settings, err error) {
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		if err := q.BillingRunLock(ctx); err != nil {
			return err
		}
		row, err := q.BillingSettingsGet(ctx)
		if errors.Is(err, pgx.ErrNoRows) { // before the first start: these are its settings
			if err = firstSettings(ctx, q, given.over(first), now); err != nil {
				return err
			}
			if row, err = q.BillingSettingsGet(ctx); err == nil {
				after = settingsOf(row)
			}
			return err
		}
		if err != nil {
			return err
		}
		before = settingsOf(row)
		after = given.over(before)
		calendar, err := after.Calendar()
		if err != nil {
			return err
		}
		if after == before {
			return nil
		}
		if err := checkZone(ctx, q, calendar.Location, now); err != nil {
			return err
		}
		err = q.BillingSettingsUpdate(ctx, dbsqlc.BillingSettingsUpdateParams{
			Timezone: after.Timezone, Close: string(after.Close), BillingStart: after.BillingStart, TaxBy: string(after.TaxBy),
		})
		if err != nil {
			return err
		}
		cutoff, err := q.BillingRunCutoff(ctx)
		if err != nil || given.BillingStart.IsZero() || !calendar.Baseline().After(cutoff) {
			return err
		}
		open, err := q.BillingSettingsDraftsBefore(ctx, calendar.Baseline())
		if err != nil {
			return err
		}
		if open > 0 {
			return fmt.Errorf("billing start %s would count the periods of %d open drafts as run; let their runs issue them first", after.BillingStart, open)
		}
		return insertStart(ctx, q, calendar, now)
	})
	if err != nil {
		return before, after, fmt.Errorf("change the billing settings: %w", err)
	}
	return before, after, nil
}

// Calendar is the billing calendar of these settings.
func (s Settings) Calendar() (billing.Calendar, error) {
	// The empty name and Local mean the machine's own zone to Go.
	if s.Timezone == "" || s.Timezone == "Local" {
		return billing.Calendar{}, fmt.Errorf("time zone %q is not an IANA name such as Europe/Dublin", s.Timezone)
	}
	location, err := time.LoadLocation(s.Timezone)
	if err != nil {
		return billing.Calendar{}, fmt.Errorf("time zone %q is not known; give an IANA name such as Europe/Dublin: %w", s.Timezone, err)
	}
	return billing.Calendar{Location: location, Close: s.Close, Start: s.BillingStart}, nil
}

func (s Settings) differFrom(stored Settings) error {
	var differ []string
	compare := func(variable, given, stored string) {
		if given != "" && given != stored {
			differ = append(differ, fmt.Sprintf("%s is %s here and %s in the database", variable, given, stored))
		}
	}
	compare("FLIGHTBILL_TIMEZONE", s.Timezone, stored.Timezone)
	compare("FLIGHTBILL_CLOSE", string(s.Close), string(stored.Close))
	compare("FLIGHTBILL_BILLING_START", s.BillingStart.String(), stored.BillingStart.String())
	if len(differ) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s; leave the variable out to use the database's, or change that with flightbill settings set",
		ErrSettingsDiffer, strings.Join(differ, ", "))
}

// ReadTaxBy reads how an invoice's tax is rounded.
func ReadTaxBy(ctx context.Context, db dbsqlc.DBTX) (TaxBy, error) {
	row, err := dbsqlc.New(db).BillingSettingsGet(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return TaxByInvoice, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the billing settings: %w", err)
	}
	return TaxBy(row.TaxBy), nil
}
