# What the toy models' loss is made of: the exact loss with one active feature, interventions on trained models, exponents of
# the parts of the loss, and what predicts the loss over the grid.

INTERVENTIONS = interventions(config["toy"])
MECHANISM_TABLES = [
    "toy_one_active",
    "interventions",
    "toy_part_exponents",
    "intervention_exponents",
    "mediation",
    "mean_field",
]
MECHANISM_FIGURES = {
    "mechanism_loss": "loss and exponents from b ~ N(0, 1) and from b = 0",
    "mechanism_parts": "what the loss is made of",
    "mechanism_live": "represented features by norm and by function",
    "mechanism_onset": "where features begin to fall silent",
    "mechanism_interventions": "silent features revived",
    "mechanism_geometry": "what about the overlaps sets the loss",
    "mechanism_theory": "mean-field theory of even frequencies",
}


rule mechanism:
    input:
        expand("results/tables/{table}.csv", table=MECHANISM_TABLES),
        expand("results/figures/{figure}.{ending}", figure=MECHANISM_FIGURES, ending=["svg", "png"]),


rule split_one_active:
    input:
        expand("results/toy/models/{model}.safetensors", model=TOY_CELLS),
    output:
        "results/tables/toy_one_active.csv",
    log:
        "logs/toy/split_one_active.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        study=json.dumps(config["toy"]),
        source=source_fingerprint("toy/one_active"),
    message:
        "Splitting the exact loss with one active feature (log: {log})"
    shell:
        "python -m scaling.toy.one_active --study {params.study:q} --folder results/toy/models"
        " --output {output} > {log} 2>&1"


rule intervene:
    input:
        "results/toy/models/{model}.safetensors",
    output:
        "results/toy/interventions/{model}/{intervention}.jsonl",
    log:
        "logs/toy/interventions/{model}/{intervention}.log",
    wildcard_constraints:
        model=r".+/m\d+_seed\d+",
        intervention=r"\w+",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=get_training_memory,
        runtime=get_intervention_minutes,
    params:
        samples=config["toy"]["held_out_samples"],
        source=source_fingerprint("toy/interventions"),
    message:
        "Intervention {wildcards.intervention} on {wildcards.model} (log: {log})"
    shell:
        "python -m scaling.toy.interventions --folder results/toy/models --model {wildcards.model:q}"
        " --intervention {wildcards.intervention} --samples {params.samples} --output {output} > {log} 2>&1"


rule collect_interventions:
    input:
        [
            f"results/toy/interventions/{model}/{name}.jsonl"
            for model, names in INTERVENTIONS.items()
            for name in names
        ],
    output:
        "results/tables/interventions.csv",
    log:
        "logs/toy/collect_interventions.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        source=source_fingerprint("toy/intervention_table"),
    message:
        "Gathering the interventions into a table (log: {log})"
    shell:
        "python -m scaling.toy.intervention_table --measured {input} --output {output} > {log} 2>&1"


rule fit_parts:
    input:
        models="results/tables/toy_models.csv",
        interventions="results/tables/interventions.csv",
    output:
        parts="results/tables/toy_part_exponents.csv",
        interventions="results/tables/intervention_exponents.csv",
    log:
        "logs/fits/parts.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("fits/parts"),
    message:
        "Fitting the parts of the toy models' loss (log: {log})"
    shell:
        "python -m scaling.fits.parts --models {input.models} --interventions {input.interventions}"
        " --parts {output.parts} --intervention-exponents {output.interventions} > {log} 2>&1"


rule fit_mediation:
    input:
        models="results/tables/toy_models.csv",
        features="results/tables/toy_features.csv",
        one_active="results/tables/toy_one_active.csv",
        interventions="results/tables/interventions.csv",
    output:
        "results/tables/mediation.csv",
    log:
        "logs/fits/mediation.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("fits/mediation"),
    message:
        "Fitting what predicts the loss over the toy models (log: {log})"
    shell:
        "python -m scaling.fits.mediation --models {input.models} --features {input.features}"
        " --one-active {input.one_active} --interventions {input.interventions} --output {output} > {log} 2>&1"


rule tabulate_mean_field:
    output:
        "results/tables/mean_field.csv",
    log:
        "logs/fits/mean_field.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=500,
    params:
        n=[1000, 10_000, 1_000_000],
        m=[10, 15, 25, 39, 63, 100, 160, 250, 400, 630, 1000, 1600, 2500, 4000, 6300],
        source=source_fingerprint("mean_field"),
    message:
        "Computing the mean-field theory (log: {log})"
    shell:
        "python -m scaling.mean_field --n {params.n} --m {params.m} --output {output} > {log} 2>&1"


rule draw_mechanism_figures:
    input:
        models="results/tables/toy_models.csv",
        exponents="results/tables/toy_exponents.csv",
        interventions="results/tables/interventions.csv",
        mediation="results/tables/mediation.csv",
        mean_field="results/tables/mean_field.csv",
        published=expand(
            "{folder}/{name}.csv",
            folder=f"{workflow.basedir}/resources/published",
            name=["fig6e_model_exponent", "fig7b_density_scaling"],
        ),
    output:
        [
            report(
                f"results/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Toy model",
                labels={"figure": "not in the paper", "shows": shows},
            )
            for figure, shows in MECHANISM_FIGURES.items()
        ],
        expand("results/figures/{figure}.png", figure=MECHANISM_FIGURES),
    log:
        "logs/figures/mechanism.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        figures=" ".join(MECHANISM_FIGURES),
        source=source_fingerprint("figures/mechanism"),
    message:
        "Drawing what the toy models' loss is made of (log: {log})"
    shell:
        "python -m scaling.figures.mechanism --figure {params.figures} --models {input.models}"
        " --exponents {input.exponents} --interventions {input.interventions} --mediation {input.mediation}"
        " --mean-field {input.mean_field} --published {input.published} --output {output} > {log} 2>&1"
