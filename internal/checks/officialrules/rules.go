//go:build unix

// Package officialrules has e-invoices and PDF checked by those who make the rules: OpenPeppol and CEN, with phive, and
// PDF/A by veraPDF. They are Java programs, which Maven gets once.
package officialrules

import (
	"bytes"
	"context"
	_ "embed" // what runs
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/flightbill/flightbill/internal/javajars"
	"github.com/flightbill/flightbill/internal/ownfolder"
)

var (
	//go:embed pom.xml
	pom []byte

	//go:embed jars.sha256
	sums string

	//go:embed Rules.java
	program []byte
)

var jars = &javajars.Set{
	Name: "the rules of e-invoices", Folder: "rules", POM: pom, Sums: sums,
	SumsFile: "internal/checks/officialrules/jars.sha256", Megabytes: 36,
}

// oldestJava is the oldest that they run on.
const oldestJava = 17

// Report is what the validators say of one file.
type Report struct {
	File     string   `json:"file"`
	Words    []string `json:"words"` // which rules, and how it stands with them
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

// Check checks the files of a folder: UBL and CII, whatever their names, and PDF. The reports are by the files' names.
// The error is a *javajars.MissingError where this machine lacks a JDK or Maven.
func Check(ctx context.Context, folder string, logger *slog.Logger) ([]Report, error) {
	java, err := javajars.Java(ctx, oldestJava)
	if err != nil {
		return nil, err
	}
	if err := javajars.Compiles(ctx, java); err != nil {
		return nil, err
	}
	lib, err := jars.Fetch(ctx, ownfolder.Cache(), logger)
	if err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp("", "flightbill-rules-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(own)
	source := filepath.Join(own, "Rules.java")
	if err := os.WriteFile(source, program, 0o600); err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	// The first compiler alone: 9 s of CPU for 68 files, with the second one 22.
	cmd := exec.CommandContext(ctx, java, "-Xmx2g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", filepath.Join(lib, "*"), source, folder)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run the rules of e-invoices: %w\n%s", err, javajars.Tail(stderr.String()))
	}
	var reports []Report
	for decoder := json.NewDecoder(&stdout); decoder.More(); {
		var report Report
		if err := decoder.Decode(&report); err != nil {
			return nil, fmt.Errorf("read what the rules of e-invoices say: %w", err)
		}
		reports = append(reports, report)
	}
	return reports, nil
}
