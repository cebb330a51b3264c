// Package dracut understands dracut's command line and configuration files and
// says what they mean for a build: dracut's words in, build.Options out.
//
// The words are those of dracut 059 and of dracut-ng up to 111 together; where
// the two have other defaults, --compat ng (our own option) takes the latter's.
// dracut.conf and its folders are bash: plain assignments are read here,
// anything else by one bash that sources the files and prints the variables
// that we know.
//
// It builds nothing, runs no dracut module of others (module-setup.sh), makes no
// UEFI executable, and writes no file.
package dracut
