# Figures, drawn from the tables alone, and the tables as pages of the report. workflow/figures.yaml lists the figures: one
# job draws those of one module, since loading the libraries takes longer than drawing.
# results/figures/{figure}.svg and .png; results/pages/{table}.html.

# The figures on the overview that are drawn; the first one opens the report.
OVERVIEW = [
    figure
    for figure in read_overview(ROOT / "workflow" / "figures.yaml")
    if figure in {figure.name for drawing in DRAWINGS.values() for figure in drawing.figures}
]

# Tables with tens of thousands of rows are not shown in the report.
LONG_TABLES = ["toy_curves", "toy_features", "attention_phase", "attention_tokens"]
PAGES = [
    Path(path).stem
    for path in [
        *rules.toy.input,
        *rules.mechanism.input,
        *rules.llm.input,
        *rules.bigram.input,
        *rules.time.input,
        *(rules.correlation.input if CORRELATION_CELLS else []),
        *rules.attention.input,
        *rules.fits.input,
    ]
    if path.endswith(".csv") and Path(path).stem not in LONG_TABLES
]


for rule_name, drawing in DRAWINGS.items():

    rule:
        name:
            rule_name
        input:
            drawing.inputs(PUBLISHED),
        output:
            [
                report(
                    f"results/figures/{figure.name}.svg",
                    caption=f"../report/{figure.name}.rst",
                    category=figure.category,
                    labels={"figure": figure.paper, "shows": figure.title},
                )
                for figure in drawing.figures
            ],
            [f"results/figures/{figure.name}.png" for figure in drawing.figures],
        log:
            f"logs/figures/{rule_name}.log",
        conda:
            "../envs/scaling.yaml"
        params:
            module=drawing.module,
            arguments=shlex.join(drawing.arguments(PUBLISHED)),
            trained=trained(config["toy"]),
            source=fingerprint([drawing.module.replace(".", "/")]),
        shell:
            "python -m scaling.{params.module} {params.arguments} --output {output} > {log} 2>&1"


rule figures:
    input:
        pictures(DRAWINGS["draw_toy_figures"]),
        "results/figures/overview.png",
        "results/pages/summary.html",
        "results/pages/interactive.html",
        expand("results/pages/{table}.html", table=PAGES),


rule draw_overview:
    input:
        expand("results/figures/{figure}.png", figure=OVERVIEW),
    output:
        report(
            "results/figures/overview.png",
            caption="../report/overview.rst",
            category="Overview",
            labels={"figure": "all", "shows": "the main figures on one sheet"},
        ),
    log:
        "logs/figures/overview.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("figures/overview"),
    shell:
        "python -m scaling.figures.overview --figures {input} --output {output} > {log} 2>&1"


# The first page of the report (workflow/report/workflow.rst), with the first figure of the overview.
rule summarise:
    input:
        tables=[f"results/tables/{name}.csv" for name in ("claims", "toy_models", "toy_exponents")],
        picture=f"results/figures/{OVERVIEW[0]}.png",
    output:
        report(
            "results/pages/summary.html",
            caption="../report/summary.rst",
            category="Overview",
            labels={"figure": "summary", "shows": "what holds and what does not"},
        ),
    log:
        "logs/figures/summary.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("summary"),
    shell:
        "python -m scaling.summary --tables results/tables --picture {input.picture} --output {output} > {log} 2>&1"


rule draw_interactive:
    input:
        tables=[
            f"results/tables/{name}.csv"
            for name in (
                "claims",
                "llm_overlaps",
                "llm_loss_intercepts",
                "toy_models",
                "toy_exponents",
                "toy_features",
                "toy_curves",
            )
        ],
        losses=f"{PUBLISHED}/fig8b_llm_loss.csv",
    output:
        report(
            "results/pages/interactive.html",
            caption="../report/interactive.rst",
            category="Overview",
            labels={
                "figure": "interactive",
                "shows": "models, heads and claims by hover and click",
            },
        ),
    log:
        "logs/figures/interactive.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("figures/interactive"),
    shell:
        "python -m scaling.figures.interactive --tables results/tables --losses {input.losses}"
        " --output {output} > {log} 2>&1"


rule show_tables:
    input:
        expand("results/tables/{table}.csv", table=PAGES),
    output:
        [
            report(
                f"results/pages/{table}.html",
                caption=table_caption(ROOT / "workflow" / "report", table),
                category="Overview" if table == "claims" else "Tables",
                labels=(
                    {"figure": "table", "shows": "every claim, expected and ours"}
                    if table == "claims"
                    else {"table": table}
                ),
            )
            for table in PAGES
        ],
    log:
        "logs/figures/pages.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("pages"),
    shell:
        "python -m scaling.pages --tables {input} --output {output} > {log} 2>&1"
