# Pictures of the toy study, drawn from the tables alone by one job, since loading the libraries takes longer than a figure.
# results/figures/{figure}.svg and .png; the figure's name says its number in the paper.
# results/pages/{table}.html: the tables as pages of the report.

# figure: (its number in the paper, what it shows)
TOY_FIGURES = {
    "fig1_loss": ("Fig. 1b, d", "loss against model dimension"),
    "fig3_representation": ("Fig. 3a, b", "represented features against weight decay"),
    "fig4_phase": ("Fig. 4a, b", "exponent and R² over weight decay and data exponent"),
    "fig5_weak": ("Fig. 5a, b", "weak superposition against its prediction"),
    "fig6_geometry": ("Fig. 6a-e", "rows of W under strong superposition, and the exponent"),
    "fig7_density": ("Fig. 7a, b", "activation density"),
    "final_fig3_norms": ("final version, Fig. 3", "norms and represented ranks"),
    "final_fig4a_loss_against_represented": (
        "final version, Fig. 4a",
        "loss against represented features",
    ),
    "final_fig5c_overlap_variance": ("final version, Fig. 5c", "variance of squared overlaps"),
    "seed_scatter": ("not in the paper", "what scatters between seeds"),
    "learning_rate_check": ("not in the paper", "other learning rates"),
    "training_curves": ("not in the paper", "training curves"),
}
# on the contact sheet, in this order
OVERVIEW_FIGURES = [
    "mechanism_loss",
    "mechanism_parts",
    "mechanism_interventions",
    *(figure for figure in TOY_FIGURES if figure not in ("learning_rate_check", "training_curves")),
    "fig8a_llm_overlaps",
    "fig8b_llm_loss",
    "llm_family",
]
# Rows by the ten thousand: these tables are no pages of the report.
LONG_TABLES = ["toy_curves", "toy_features", "attention_phase", "attention_tokens"]
PAGES = [
    Path(path).stem
    for path in [
        *rules.toy.input,
        *rules.mechanism.input,
        *rules.llm.input,
        *rules.bigram.input,
        *rules.time.input,
        *rules.correlation.input,
        *rules.attention.input,
        *rules.fits.input,
    ]
    if path.endswith(".csv") and Path(path).stem not in LONG_TABLES
]


rule draw_toy_figures:
    input:
        models="results/tables/toy_models.csv",
        curves="results/tables/toy_curves.csv",
        features="results/tables/toy_features.csv",
        exponents="results/tables/toy_exponents.csv",
        published=expand(
            "{folder}/{name}.csv",
            folder=f"{workflow.basedir}/resources/published",
            name=[
                "fig1b_weak_loss",
                "fig1d_strong_loss",
                "fig4a_r_squared",
                "fig6e_model_exponent",
                "fig7b_density_scaling",
            ],
        ),
    output:
        [
            report(
                f"results/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Toy model",
                labels={"figure": number, "shows": shows},
            )
            for figure, (number, shows) in TOY_FIGURES.items()
        ],
        expand("results/figures/{figure}.png", figure=TOY_FIGURES),
    log:
        "logs/figures/toy.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        figures=" ".join(TOY_FIGURES),
        trained=trained(config["toy"]),
        source=source_fingerprint("figures/toy"),
    message:
        "Drawing the toy study's figures (log: {log})"
    shell:
        "python -m scaling.figures.toy --figure {params.figures} --models {input.models}"
        " --curves {input.curves} --features {input.features} --exponents {input.exponents}"
        " --published {input.published} --output {output} > {log} 2>&1"


rule figures:
    input:
        expand("results/figures/{figure}.{ending}", figure=TOY_FIGURES, ending=["svg", "png"]),
        "results/figures/overview.png",
        expand("results/pages/{table}.html", table=PAGES),


rule draw_overview:
    input:
        expand("results/figures/{figure}.png", figure=OVERVIEW_FIGURES),
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
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("figures/overview"),
    message:
        "Laying the figures out on one sheet (log: {log})"
    shell:
        "python -m scaling.figures.overview --figures {input} --output {output} > {log} 2>&1"


rule show_tables:
    input:
        expand("results/tables/{table}.csv", table=PAGES),
    output:
        [
            report(
                f"results/pages/{table}.html",
                caption=table_caption(table),
                category="Overview" if table == "claims" else "Tables",
                labels=(
                    {"figure": "table", "shows": "every claim, published and ours"}
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
    threads: 1
    resources:
        mem_mb=500,
    params:
        source=source_fingerprint("pages"),
    message:
        "Writing the tables as pages of the report (log: {log})"
    shell:
        "python -m scaling.pages --tables {input} --output {output} > {log} 2>&1"
