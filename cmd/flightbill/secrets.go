package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxSecret is more than any password, token or URL has, in bytes.
const maxSecret = 64 << 10

// fromFile is the setting of a file that another setting's value is in.
func fromFile(other string, field func(*config) *string) func(*config, string) error {
	return func(c *config, file string) error {
		if file == "" {
			return nil
		}
		if *field(c) != "" {
			return fmt.Errorf("set it or %s, not both", other)
		}
		value, err := readSecret(file)
		if err != nil {
			return err
		}
		*field(c) = value
		return nil
	}
}

// readSecret returns what a file holds, without the line break at its end. Its errors
// name the file and nothing in it.
func readSecret(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(text), "\r\n")
	switch {
	case len(text) > maxSecret:
		return "", fmt.Errorf("file %q has more than %d bytes; is it the right one?", file, maxSecret)
	case strings.TrimSpace(secret) == "":
		return "", fmt.Errorf("file %q is empty", file)
	}
	return secret, nil
}
