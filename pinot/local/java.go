//go:build unix

package local

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// oldestJava is the oldest that Pinot's jars run on.
const oldestJava = 11

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// findJava returns the path of java. It is run to be sure: macOS has a java that only says where to get one.
func findJava(ctx context.Context) (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("%w: there is no java on PATH", ErrNoJava)
	}
	output, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %s -version: %w", ErrNoJava, path, err)
	}
	if v := parseJavaVersion(string(output)); v < oldestJava {
		return "", fmt.Errorf("%w: %s is %s", ErrNoJava, path, strings.SplitN(string(output), "\n", 2)[0])
	}
	return path, nil
}

// parseJavaVersion returns the major version; 1 for the 1.8 that Java 8 calls itself, 0 where there is none.
func parseJavaVersion(output string) int {
	m := javaVersion.FindStringSubmatch(output)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(m[1])
	return v
}
