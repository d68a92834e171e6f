# The entry from the repository's folder; the workflow itself is in workflow/Snakefile.
include: "workflow/Snakefile"


workflow.default_target = "all"  # Snakemake takes none from an included file
