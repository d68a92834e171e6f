# Superposition scaling, reproduced. `snakemake --cores all` runs the study that config.yaml describes;
# toy, llm, bigram, attention, fits and figures name its parts, and -n shows the plan.
#
# results/toy/models/{training}/{frequency_law}_n{n}[_alpha{alpha}]_E{E}/gamma{gamma}[_lr{factor}]/m{m}_seed{seed}.safetensors
# results/tables/{table}.csv           what people read; columns in the README's data dictionary
# results/figures/{figure}.svg, .png   drawn from the tables alone
# logs/{step}/...                      one log per job, at the path of its result
from snakemake.utils import min_version

min_version("9.20")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


check_writable()
config = checked_config(config)


onstart:
    workflow.globals["held_lock"] = hold_lock()


onsuccess:
    print(closing_lines(), file=sys.stderr)


include: "workflow/rules/toy.smk"
include: "workflow/rules/mechanism.smk"
include: "workflow/rules/fits.smk"
include: "workflow/rules/family.smk"
include: "workflow/rules/llm.smk"
include: "workflow/rules/losses.smk"
include: "workflow/rules/bigram.smk"
include: "workflow/rules/time.smk"
include: "workflow/rules/correlation.smk"
include: "workflow/rules/attention.smk"
include: "workflow/rules/figures.smk"


rule all:
    default_target: True
    input:
        rules.toy.input,
        rules.mechanism.input,
        rules.llm.input,
        rules.bigram.input,
        rules.time.input,
        rules.correlation.input,
        rules.attention.input,
        rules.fits.input,
        rules.figures.input,
        rules.draw_overview.output,
