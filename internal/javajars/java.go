//go:build unix

package javajars

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

var javaVersion = regexp.MustCompile(`version "(\d+)`)

// Java returns the path of a java of a version or a newer one. It is run to be sure: macOS has a java that only says where to get one.
func Java(ctx context.Context, oldest int) (string, error) {
	path, err := exec.LookPath("java")
	if err != nil {
		return "", &MissingError{"there is no java on PATH"}
	}
	output, err := exec.CommandContext(ctx, path, "-version").CombinedOutput()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", &MissingError{fmt.Sprintf("%s -version: %v", path, err)}
	}
	if v := parseJavaVersion(string(output)); v < oldest {
		return "", &MissingError{fmt.Sprintf("%s is %s", path, strings.SplitN(string(output), "\n", 2)[0])}
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

// Compiles fails where a java cannot run a program from its source, which a JDK can and a JRE cannot.
func Compiles(ctx context.Context, java string) error {
	if err := exec.CommandContext(ctx, java, "--describe-module", "jdk.compiler").Run(); err != nil {
		return &MissingError{java + " is not a JDK's"}
	}
	return nil
}
