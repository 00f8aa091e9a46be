package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/document"
)

// issuerView is the issuer for programs.
type issuerView struct {
	Since time.Time `json:"since"`
	*document.Issuer
}

func (a *app) newIssuerCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "issuer", Short: "Show who issues the invoices, as it stands on them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				version, err := db.ReadIssuer(cmd.Context(), pool)
				if err != nil {
					return err
				}
				switch {
				case version == nil && asJSON:
					return printJSON(a.stdout, nil)
				case version == nil:
					a.sayf("no issuer is set: flightbill issuer set name=… country=…, or flightbill import issuer FILE.csv")
					return nil
				case asJSON:
					issuer, err := version.Issuer()
					if err != nil {
						return err
					}
					return printJSON(a.stdout, issuerView{version.Since.UTC(), issuer})
				}
				rows := [][]string{{"since", version.Since.UTC().Format(time.RFC3339)}}
				for _, column := range document.IssuerColumns {
					rows = append(rows, []string{column.Name, version.Cells[column.Name]})
				}
				return table(a.stdout, []string{"NAME", "VALUE"}, append(rows, []string{"logo", logoText(version.Logo)}))
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(a.newIssuerSetCommand())
	return cmd
}

func logoText(logo []byte) string {
	if len(logo) == 0 {
		return ""
	}
	return count(int64(len(logo))) + " bytes"
}

func (a *app) newIssuerSetCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set NAME=VALUE…", Short: "Change the issuer of the invoices to come; an empty VALUE takes away, logo=@FILE is a PNG or JPEG", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			change, err := parseIssuer(args)
			if err != nil {
				return usageError{err}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				before, after, err := db.ChangeIssuer(cmd.Context(), pool, change, a.now())
				if _, wrong := errors.AsType[*db.IssuerError](err); wrong {
					return usageError{err}
				}
				if err != nil {
					return err
				}
				a.explainIssuer(before, after)
				return nil
			})
		},
	}
}

func parseIssuer(args []string) (change db.IssuerChange, err error) {
	change.Cells = map[string]string{}
	for _, arg := range args {
		name, text, found := strings.Cut(arg, "=")
		if !found {
			return change, fmt.Errorf("%q is not NAME=VALUE", arg)
		}
		name = strings.ToLower(name)
		if name == "logo" {
			if change.Logo, err = readLogo(text); err != nil {
				return change, err
			}
			continue
		}
		column, known := document.ColumnNamed(document.IssuerColumns, name)
		if !known {
			names := make([]string, len(document.IssuerColumns))
			for i, c := range document.IssuerColumns {
				names[i] = c.Name
			}
			return change, fmt.Errorf("%q is not of the issuer; there are %s and logo", name, strings.Join(names, ", "))
		}
		value, expected := column.Read(text)
		if expected != "" {
			return change, fmt.Errorf("%s: %q is not usable: %s", name, text, expected)
		}
		change.Cells[name] = value
	}
	return change, nil
}

// readLogo reads @FILE; nothing takes the logo away.
func readLogo(text string) (*[]byte, error) {
	if text == "" {
		return new([]byte), nil
	}
	name, isFile := strings.CutPrefix(text, "@")
	if !isFile {
		return nil, fmt.Errorf("logo: write logo=@FILE, or logo= to take it away, not %q", text)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("logo: %w", err)
	}
	defer file.Close()
	logo, err := io.ReadAll(io.LimitReader(file, document.MaxLogo+1))
	if err != nil {
		return nil, fmt.Errorf("logo: %w", err)
	}
	if err := document.CheckLogo(logo); err != nil {
		return nil, fmt.Errorf("logo: %q: %w", name, err)
	}
	return &logo, nil
}

func (a *app) explainIssuer(before, after *db.IssuerVersion) {
	if before == after {
		a.sayf("nothing changed: the issuer is as asked")
		return
	}
	if before == nil {
		before = &db.IssuerVersion{}
	}
	for _, column := range document.IssuerColumns {
		if was, is := before.Cells[column.Name], after.Cells[column.Name]; was != is {
			a.sayf("%s: %q is now %q", column.Name, was, is)
		}
	}
	if !slices.Equal(before.Logo, after.Logo) {
		a.sayf("logo: %q is now %q", logoText(before.Logo), logoText(after.Logo))
	}
	a.sayf("Invoices issued from now on have this; those issued before keep what they had. 'flightbill customers check' says what is missing.")
}
