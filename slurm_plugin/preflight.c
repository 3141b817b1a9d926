/*
 * SPANK plugin: sbatch, salloc and srun take --require=REQUIREMENT.
 *
 * plugstack.conf:  optional /usr/lib64/slurm/preflight.so preflight=/opt/preflight/bin/preflight
 *
 * At submit the requirement is checked by the program named there, as the user. Slurm carries the text to the
 * prolog as SPANK__SLURM_SPANK_OPTION_preflight_require: plugin name and option name are that contract.
 * So with --gpu-code, by which preflight sbatch tells the prolog what the job's environment has GPU code for.
 * A requirement that is wrong is refused; a checker that fails never stops a job.
 */
#include "checker.h"
#include "text.h"

#include <slurm/spank.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SPANK_PLUGIN(preflight, 1);

#define REQUIREMENT_MAX 4096
#define SUMMARY_MAX 1024 /* as the prolog reads it: LONGEST in requirements/summary.py */
#define PROGRAM_KEY "preflight="

/* Slurm's own variables for an option. The first is set in every job that used it, and read by every command. */
#define INHERITED "SLURM_SPANK__SLURM_SPANK_OPTION_preflight_"
#define REMOTE "_SLURM_SPANK_OPTION_preflight_"
#define INHERITED_NAME INHERITED "require"

/* Slurm is single-threaded while it reads options. The two strings are plugstack.conf's and stay. */
static const char *checker_program;
static const char *unknown_argument;
static bool checker_failed;                /* it is not asked, nor its fault told, a second time */
static char accepted[REQUIREMENT_MAX + 1]; /* Slurm reads the options of a heterogeneous job twice */

static int require_given(int val, const char *requirement, int remote);
static int code_given(int val, const char *summary, int remote);

static struct spank_option require_option = {
	.name = "require",
	.arginfo = "REQUIREMENT",
	.usage = "what the job needs of its nodes, in quotes: \"cuda>=12.4, ubuntu>=22.04|rhel>=9, gpu.memory>=80G\"",
	.has_arg = 1,
	.val = 0,
	.cb = require_given,
};

static struct spank_option code_option = {
	.name = "gpu-code",
	.arginfo = "SUMMARY",
	.usage = "what the job's environment has GPU code for, for its report; preflight sbatch gives it",
	.has_arg = 1,
	.val = 0,
	.cb = code_given,
};

static void read_arguments(int ac, char *argv[])
{
	int i;

	for (i = 0; i < ac; i++) {
		if (strncmp(argv[i], PROGRAM_KEY, strlen(PROGRAM_KEY)) == 0)
			checker_program = argv[i] + strlen(PROGRAM_KEY);
		else
			unknown_argument = argv[i];
	}
}

/* What is wrong with our line of plugstack.conf, for the log; NULL when it is right. */
static const char *argument_fault(char *line, size_t size)
{
	if (unknown_argument)
		snprintf(line, size, "plugstack.conf: \"%s\" is not an argument of preflight.so; write " PROGRAM_KEY "PROGRAM",
			 unknown_argument);
	else if (!checker_program)
		snprintf(line, size, "plugstack.conf names no checker; add " PROGRAM_KEY "/path/to/preflight to its line");
	else if (checker_program[0] != '/')
		snprintf(line, size, "plugstack.conf: \"" PROGRAM_KEY "%s\" must be an absolute path", checker_program);
	else
		return NULL;
	return line;
}

/*
 * A job that is submitted from inside a job does not take over that job's requirement, nor what its environment is,
 * as it takes over none of its sbatch options. Steps do, since without PrologFlags=Alloc theirs is what a node's prolog gets.
 */
static void forget_outer_job(void)
{
	if (spank_context() == S_CTX_ALLOCATOR && getenv("SLURM_JOB_ID")) {
		unsetenv(INHERITED_NAME);
		unsetenv(REMOTE "require");
		unsetenv(INHERITED "gpu_code");
		unsetenv(REMOTE "gpu_code");
	}
}

int slurm_spank_init(spank_t spank, int ac, char *argv[])
{
	char line[512];

	read_arguments(ac, argv);
	forget_outer_job();
	switch (spank_context()) {
	case S_CTX_LOCAL:
	case S_CTX_ALLOCATOR:
	case S_CTX_REMOTE: /* slurmstepd must know the option too, or it warns about it in every job */
		if (spank_option_register(spank, &require_option) != ESPANK_SUCCESS)
			slurm_error("preflight: Slurm does not take the option --require; jobs run without it");
		if (spank_option_register(spank, &code_option) != ESPANK_SUCCESS)
			slurm_error("preflight: Slurm does not take the option --gpu-code; jobs run without it");
		break;
	case S_CTX_SLURMD: /* here the administrator sees it; users are only told when they use the option */
		if (argument_fault(line, sizeof(line)))
			slurm_error("preflight: %s", line);
		break;
	default:
		break;
	}
	/* With "required" in plugstack.conf an error from here would stop every job of the site. */
	return ESPANK_SUCCESS;
}

/* One log call a line: each gets the same "sbatch: " before it, if any, so a caret stays in its column. */
static void show_lines(char *text)
{
	const char *prefix = strncmp(text, "preflight:", strlen("preflight:")) == 0 ? "" : "preflight: ";
	char *line, *rest = NULL;

	text_clean(text);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		slurm_spank_log("%s%s", prefix, line);
		prefix = "";
	}
}

/* The job goes through: the prolog on the node judges the requirement in any case. */
static void warn_unchecked(const char *why, const char *detail)
{
	slurm_spank_log("preflight: warning: the requirement is not checked before the job starts: %s%s%s%s", why,
			*detail ? " (" : "", detail, *detail ? ")" : "");
}

static int check(const char *requirement)
{
	struct checker_answer answer;
	char line[1024];

	if (checker_failed || strcmp(requirement, accepted) == 0)
		return ESPANK_SUCCESS;
	if (!checker_program || checker_program[0] != '/') {
		checker_failed = true;
		argument_fault(line, sizeof(line));
		warn_unchecked(line, "");
		return ESPANK_SUCCESS;
	}

	checker_run(checker_program, requirement, &answer);
	if (answer.verdict == CHECKER_REFUSED) {
		show_lines(answer.text);
		return -1; /* negative: some releases of Slurm look at the sign only */
	}
	if (answer.verdict == CHECKER_ACCEPTED) {
		strcpy(accepted, requirement); /* as long as REQUIREMENT_MAX at most, see require_given */
		return ESPANK_SUCCESS;
	}
	checker_failed = true;
	snprintf(line, sizeof(line), "%s: %s", checker_program, answer.why);
	text_clean(answer.text);
	warn_unchecked(line, text_last_line(answer.text));
	return ESPANK_SUCCESS;
}

static int check_text(const char *requirement)
{
	const char *fault = NULL;

	if (!requirement || !*requirement)
		fault = "a requirement is missing; write --require=\"cuda>=12.4\"";
	else if (strlen(requirement) > REQUIREMENT_MAX)
		fault = "the requirement is longer than 4096 bytes; shorten it";
	else if (text_has_control(requirement))
		fault = "the requirement holds a control character; write it in plain text";
	if (!fault)
		return check(requirement);
	slurm_spank_log("preflight: --require: %s", fault);
	return -1;
}

/* Slurm calls this for every --require it reads: environment, #SBATCH line, command line; the last one counts. */
static int require_given(int val, const char *requirement, int remote)
{
	spank_context_t context = spank_context();
	const char *inherited = getenv(INHERITED_NAME);
	int rc;

	(void)val;
	/* slurmstepd is root: it takes what was checked at submit, and runs nothing for it. */
	if (remote || (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR))
		return ESPANK_SUCCESS;
	if (context != S_CTX_LOCAL || !getenv("SLURM_JOB_ID"))
		return check_text(requirement);

	/* A job step: it reads the job's own requirement again, which was checked when the job was submitted. */
	if (requirement && inherited && strcmp(inherited, requirement) == 0)
		return ESPANK_SUCCESS;
	rc = check_text(requirement);
	if (rc == ESPANK_SUCCESS)
		slurm_spank_log("preflight: warning: the nodes of a job step are chosen already, so its --require is not "
				"enforced; give it to sbatch or salloc");
	return rc;
}

/*
 * Slurm carries it into the prolog's environment; the prolog reads it, and takes nothing in it but targets of GPU code.
 * A variable longer than the kernel's 128 KiB would keep a node from executing its prolog, which Slurm drains it for.
 */
static int code_given(int val, const char *summary, int remote)
{
	spank_context_t context = spank_context();

	(void)val;
	if (remote || (context != S_CTX_LOCAL && context != S_CTX_ALLOCATOR))
		return ESPANK_SUCCESS;
	if (!summary || text_is_word(summary, SUMMARY_MAX))
		return ESPANK_SUCCESS;
	slurm_spank_log("preflight: --gpu-code: the summary is longer than 1024 bytes, or holds more than letters, digits and "
			"signs; leave the option to preflight sbatch");
	return -1;
}
