package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// app is what every command has at hand.
type app struct {
	config config
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	clock  *db.Clock        // this machine's, measured against the database's
	now    func() time.Time // what the rules go by: clock's, but in tests
	logger *slog.Logger

	databaseGone <-chan struct{} // closed with the embedded server of another process
	login        string          // the role that is logged in to the database

	lookEvery    time.Duration // see jobs.Config; tests
	queryTimeout time.Duration // see db.Options; 0: none
	demoData     fs.FS         // other data for the demo; tests
	databaseWait time.Duration // how long serve waits for a database as it starts; five minutes where it is 0
}

// usageError is a command line or a setting that cannot be understood.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, env func(string) (string, bool), stdin io.Reader, stdout, stderr io.Writer) int {
	return (&app{stdin: stdin, stdout: stdout, stderr: stderr}).run(ctx, args, env)
}

func (a *app) run(ctx context.Context, args []string, env func(string) (string, bool)) int {
	if a.clock == nil {
		a.clock = db.NewClock(time.Now)
	}
	if a.now == nil {
		a.now = a.clock.Now
	}
	a.stdout, a.stderr = screen{a.stdout}, screen{a.stderr}
	root := a.newRootCommand(env)
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	if db.NoRight(err) && a.login != "" {
		err = fmt.Errorf("%w; %s", err, lackedRole(cmd.CommandPath(), a.login))
	}
	if db.LostStatement(err) {
		err = fmt.Errorf("%w; where DATABASE_URL leads to a pooler whose pool_mode is transaction, set FLIGHTBILL_DATABASE_POOLER=transaction", err)
	}
	text := err.Error()
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Hint != "" && !strings.Contains(text, refused.Hint) {
		// It says all that there is to say: what happened, and what to do.
		text = strings.ReplaceAll(text, refused.Error(), refused.Message) + "\n" + refused.Hint
	}
	a.complain(text)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(a.stderr, "Run 'flightbill --help' for usage.")
		return exitUsage
	}
	return exitFailed
}

func (a *app) newRootCommand(env func(string) (string, bool)) *cobra.Command {
	var logFormat string
	root := &cobra.Command{
		Use:           "flightbill",
		Short:         "Bills flights: a job queue on Postgres that turns flights into charges and invoices",
		Long:          "Flightbill bills flights. Applications enqueue them with one SQL INSERT; flightbill\nfetches, prices and saves each, issues the consolidated invoices and marks unpaid\nones overdue.\n\n" + settingsHelp(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			unknown, err := checkNames(os.Environ())
			if err != nil {
				return usageError{err}
			}
			if a.config, err = loadConfig(env); err != nil {
				return usageError{err}
			}
			if logFormat != "" {
				a.config.LogFormat = logFormat
			}
			if a.logger, err = newLogger(a.stderr, a.config.LogFormat, a.config.LogLevel); err != nil {
				return err
			}
			for _, name := range unknown {
				a.logger.Warn("an environment variable is no setting of flightbill", "name", name)
			}
			return nil
		},
	}
	root.PersistentFlags().StringVar(&logFormat, "log-format", "", "text or json; goes over FLIGHTBILL_LOG_FORMAT")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		a.newDemoCommand(), a.newServeCommand(), a.newMigrateCommand(), a.newImportCommand(), a.newExportCommand(), a.newTariffsCommand(), a.newEnqueueCommand(),
		a.newConsolidateCommand(), a.newOverdueCommand(), a.newInvoicesCommand(), a.newVoidCommand(), a.newCorrectCommand(), a.newPriceCommand(), a.newOverlapsCommand(),
		a.newPaymentsCommand(), a.newStatementCommand(), a.newAgingCommand(), a.newInterestCommand(), a.newBankCommand(), a.newJournalCommand(), a.newAccountsCommand(),
		a.newReconcileCommand(), a.newCalendarCommand(), a.newWebhooksCommand(), a.newDeliveriesCommand(),
		a.newIssuerCommand(), a.newCustomersCommand(), a.newUnmatchedCommand(), a.newSettingsCommand(), a.newMaintainCommand(), a.newPinotCommand(),
	)
	markUsageErrors(root)
	return root
}

// markUsageErrors makes wrong arguments, of any command, a usageError that says how it is
// written.
func markUsageErrors(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			err := check(cmd, args)
			switch {
			case err == nil:
				return nil
			case cmd.HasSubCommands():
				return usageError{err}
			default:
				return usageError{fmt.Errorf("%w: write %s", err, strings.TrimSuffix(cmd.UseLine(), " [flags]"))}
			}
		}
	}
	for _, sub := range cmd.Commands() {
		markUsageErrors(sub)
	}
}
