/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The interpreter that the kernel runs for a program of another architecture (binfmt_misc, flags P and F).
 *
 * It looks for the program of the same path in the tree of native tools that a build has bound into the root tree, and
 * runs that. What isn't there is emulated by qemu-user, which lies there too. The root tree itself is left as it is.
 *
 *   /run/.native/a/t/PATH       the tool of that path, PATH being below /usr; for /usr/bin/sed, a/t/usr/bin/sed
 *   /run/.native/a/t/PATH.only  when it may be taken, a rule a line; all of them must hold:
 *       argument WORD ...       one of the first arguments holds one of these words
 *       modules HERE THERE      every shared object below HERE is below THERE too
 *       named                   it is told its own path as its name
 *   /run/.native/a/qemu         qemu-user
 *   /run/.native/a/emulated     where this file is, each program that is emulated is written to it
 *
 * Called as: dispatcher PROGRAM NAME ARGUMENTS ..., NAME being what the program is to see as its name.
 * Where nothing is bound, as in other trees of a machine that has it registered, it runs the qemu that its own name
 * ends with: as dispatcher-qemu-arm it runs /usr/bin/qemu-arm-static or /usr/bin/qemu-arm.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef NATIVE
#define NATIVE "/run/.native/a"
#endif
#define TOOLS NATIVE "/t"
#define QEMU NATIVE "/qemu"
#define EMULATED NATIVE "/emulated"
#define LOOKED_AT 4 /* arguments that a rule looks at */
#define DEEPEST 12  /* folders that a rule goes down */

/* What changes how a program is linked is meant for programs of the tree. */
static const char *const LINKING[] = {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_TRACE_LOADED_OBJECTS", "LD_AUDIT"};

/* A path of two parts; 0 where it is too long. */
static int join(char *into, size_t size, const char *first, const char *second) {
  int length = snprintf(into, size, "%s%s", first, second);
  return length >= 0 && (size_t)length < size;
}

/* Whether every shared object below one folder is below the other too. A folder that isn't there has none. */
static int has_all(const char *here, const char *there, int depth) {
  DIR *folder = opendir(here);
  if (!folder) return errno == ENOENT;
  int all = depth < DEEPEST;
  for (struct dirent *entry; all && (entry = readdir(folder));) {
    if (entry->d_name[0] == '.') continue;
    char one[PATH_MAX], other[PATH_MAX], name[NAME_MAX + 2];
    struct stat is;
    all = join(name, sizeof name, "/", entry->d_name) && join(one, sizeof one, here, name) &&
          join(other, sizeof other, there, name);
    if (!all || stat(one, &is)) continue;
    const char *end = strrchr(name, '.');
    if (S_ISDIR(is.st_mode)) all = has_all(one, other, depth + 1);
    else if (end && !strcmp(end, ".so")) all = !access(other, R_OK);
  }
  closedir(folder);
  return all;
}

/* Whether one of the first arguments holds one of the words. */
static int has_word(char **words, char **arguments) {
  for (char *word; (word = strtok_r(NULL, " \n", words));)
    for (int n = 0; n < LOOKED_AT && arguments[n]; n++)
      if (strstr(arguments[n], word)) return 1;
  return 0;
}

/* Whether a tool may be taken by its rules; `named` is set where it is to be told its own path. */
static int allowed(const char *tool, char **arguments, int *named) {
  char path[PATH_MAX], line[PATH_MAX];
  if (!join(path, sizeof path, tool, ".only")) return 0;
  FILE *rules = fopen(path, "re");
  if (!rules) return errno == ENOENT;
  int ok = 1;
  while (ok && fgets(line, sizeof line, rules)) {
    char *rest, *rule = strtok_r(line, " \n", &rest);
    if (!rule) continue;
    if (!strcmp(rule, "argument")) {
      ok = has_word(&rest, arguments);
    } else if (!strcmp(rule, "modules")) {
      char *here = strtok_r(NULL, " \n", &rest), *there = strtok_r(NULL, " \n", &rest);
      ok = here && there && has_all(here, there, 0);
    } else if (!strcmp(rule, "named")) {
      *named = 1;
    } else {
      ok = 0;
    }
  }
  fclose(rules);
  return ok;
}

/* Run the native tool of this path; returns where there is none that may be taken. */
static void run_native(const char *program, char **argv, char **environment) {
  char real[PATH_MAX], tool[PATH_MAX];
  int named = 0;
  for (size_t n = 0; n < sizeof LINKING / sizeof *LINKING; n++)
    if (getenv(LINKING[n])) return;
  if (!realpath(program, real)) return;
  /* The tools are below /usr, whether or not the tree's /bin is. */
  if (!join(tool, sizeof tool, strncmp(real, "/usr/", 5) ? TOOLS "/usr" : TOOLS, real)) return;
  if (access(tool, X_OK) || !allowed(tool, argv + 1, &named)) return;
  char *name = argv[0];
  if (named) argv[0] = tool;
  execve(tool, argv, environment);
  argv[0] = name;
}

/* Note that a program is emulated, where somebody wants to know. */
static void tell(const char *program, char **arguments) {
  int file = open(EMULATED, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (file < 0) return;
  char line[PATH_MAX];
  size_t length = (size_t)snprintf(line, sizeof line, "%s", program);
  for (int n = 0; n < LOOKED_AT && arguments[n] && length < sizeof line; n++)
    length += (size_t)snprintf(line + length, sizeof line - length, " %s", arguments[n]);
  length = length < sizeof line - 1 ? length : sizeof line - 2;
  line[length] = '\n';
  if (write(file, line, length + 1) < 0) perror(EMULATED);
  close(file);
}

/* Emulate a program. */
static void emulate(const char *self, const char *program, char **argv, int count, char **environment) {
  char **words = calloc((size_t)count + 4, sizeof *words);
  if (!words) return;
  words[0] = "qemu";
  words[1] = "-0";
  words[2] = argv[0];
  words[3] = (char *)program;
  memcpy(words + 4, argv + 1, (size_t)(count - 1) * sizeof *words);
  execve(QEMU, words, environment);
  const char *which = strstr(self, "-qemu-");
  if (errno == ENOENT && which && !strchr(which, '/')) {
    char path[PATH_MAX];
    static const char *const endings[] = {"-static", ""};
    for (size_t n = 0; n < 2; n++)
      if (snprintf(path, sizeof path, "/usr/bin/%s%s", which + 1, endings[n]) < (int)sizeof path)
        execve(path, words, environment);
  }
}

int main(int argc, char **argv, char **environment) {
  if (argc < 3) {
    fprintf(stderr, "usage: dispatcher PROGRAM NAME [ARGUMENT ...], as the kernel calls it\n");
    return 2;
  }
  const char *program = argv[1];
  unsigned long opened = getauxval(AT_EXECFD); /* with flag O: nobody else would close it */
  if (opened > 2) close((int)opened);
  run_native(program, argv + 2, environment);
  tell(program, argv + 3);
  emulate(argv[0], program, argv + 2, argc - 2, environment);
  fprintf(stderr, "%s: could not be emulated: %s\n", program, strerror(errno));
  return 126;
}
