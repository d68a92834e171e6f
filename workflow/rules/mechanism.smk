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


rule mechanism:
    input:
        expand("results/tables/{table}.csv", table=MECHANISM_TABLES),
        pictures(DRAWINGS["draw_mechanism_figures"]),


rule split_one_active:
    input:
        expand("results/toy/models/{model}.safetensors", model=TOY_CELLS),
    output:
        "results/tables/toy_one_active.csv",
    log:
        "logs/toy/split_one_active.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        study=json.dumps(config["toy"]),
        source=source_fingerprint("toy/one_active"),
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
    resources:
        mem_mb=lambda wildcards: training_memory(asked(TOY_CELLS, wildcards.model, "model")),
        # Up to five trainings and a search of rows.
        runtime=lambda wildcards: 10
        + 6 * training_minutes(asked(TOY_CELLS, wildcards.model, "model"), config["toy"]),
    params:
        samples=config["toy"]["held_out_samples"],
        source=source_fingerprint("toy/interventions"),
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
    params:
        source=source_fingerprint("toy/intervention_table"),
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
    params:
        source=source_fingerprint("fits/parts"),
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
    params:
        source=source_fingerprint("fits/mediation"),
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
    params:
        n=[1000, 10_000, 1_000_000],
        m=[10, 15, 25, 39, 63, 100, 160, 250, 400, 630, 1000, 1600, 2500, 4000, 6300],
        source=source_fingerprint("mean_field"),
    shell:
        "python -m scaling.mean_field --n {params.n} --m {params.m} --output {output} > {log} 2>&1"
